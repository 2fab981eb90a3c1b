"""What a Gaussian process believes, against GPyTorch, closed forms and the long way round."""

import gpytorch
import numpy as np
import pytest
import torch

from search.encoding import Cube
from search.gp.ensemble import MEMBERS, Aims, Ensemble, fit_members, moments
from search.gp.fit import NUGGET, Hyperparameters
from search.gp.kernels import MATERN, RBF
from search.gp.posterior import Posterior
from tests.contracts.spaces import space

KERNELS = pytest.mark.parametrize("kernel", [RBF, MATERN], ids=lambda kernel: kernel.name)
AT = Hyperparameters(lengths=(0.4, 1.3, 0.7), noise=0.01)
OWNERS = [0, 1, 2]


def drawn(n=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, 3))
    return X, np.sin(4 * X[:, 0]) + X[:, 1] - 3.0, rng.random((7, 3))


class Plain(gpytorch.models.ExactGP):
    def __init__(self, kernel, X, y, mean):
        likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
        likelihood.noise = torch.tensor(AT.noise + NUGGET, dtype=torch.double)
        super().__init__(X, y, likelihood)
        made = {"rbf": gpytorch.kernels.RBFKernel, "matern52": gpytorch.kernels.MaternKernel}
        self.mean_module = gpytorch.means.ConstantMean().double()
        self.mean_module.constant = mean
        self.covar_module = made[kernel.name](ard_num_dims=3).double()
        self.covar_module.lengthscale = torch.tensor(AT.lengths, dtype=torch.double)

    def forward(self, X):
        return gpytorch.distributions.MultivariateNormal(self.mean_module(X), self.covar_module(X))


@KERNELS
def test_the_posterior_is_that_of_gpytorch(kernel):
    X, y, new = drawn()
    ours = Posterior.of(kernel, AT, X, OWNERS, y)
    theirs = Plain(kernel, torch.from_numpy(X), torch.from_numpy(y), ours.mean).double().eval()
    with torch.no_grad():
        expected = theirs(torch.from_numpy(new))
    belief = ours.believe(new)
    np.testing.assert_allclose(belief.mean, expected.mean, rtol=1e-8)
    np.testing.assert_allclose(belief.variance, expected.variance, rtol=1e-8)


@KERNELS
def test_the_mean_is_that_of_generalised_least_squares(kernel):
    X, y, _ = drawn()
    s = np.square((X[:, None] - X[None]) / np.array(AT.lengths)).sum(axis=-1)
    K = kernel.correlation(s) + (AT.noise + NUGGET) * np.eye(len(X))
    weights = np.linalg.inv(K).sum(axis=0)
    posterior = Posterior.of(kernel, AT, X, OWNERS, y)
    assert posterior.mean == pytest.approx(weights @ y / weights.sum(), rel=1e-9)
    moved = Posterior.of(kernel, AT, X, OWNERS, y + 10.0)
    assert moved.mean == pytest.approx(posterior.mean + 10.0, rel=1e-9)


@KERNELS
def test_the_incumbent_is_the_lowest_posterior_mean_at_a_point(kernel):
    X, y, new = drawn()
    posterior = Posterior.of(kernel, AT, X, OWNERS, y)
    assert posterior.best == pytest.approx(posterior.believe(X).mean.min(), abs=1e-10)
    later = posterior.pending(new)
    expected = min(posterior.best, posterior.believe(new).mean.min())
    assert later.best == pytest.approx(expected, abs=1e-10)


@KERNELS
def test_a_pending_point_is_an_observation_of_the_posterior_mean(kernel):
    X, y, new = drawn()
    before = Posterior.of(kernel, AT, X, OWNERS, y)
    imagined = before.believe(new[:3]).mean
    whole = Posterior.of(
        kernel, AT, np.concatenate([X, new[:3]]), OWNERS, np.concatenate([y, imagined])
    )
    at_once = before.pending(new[:3])
    one_by_one = before.pending(new[:1]).pending(new[1:2]).pending(new[2:3])
    for later in (at_once, one_by_one):
        np.testing.assert_allclose(later.L, whole.L, atol=1e-10)
        belief = later.believe(new[3:])
        np.testing.assert_allclose(belief.mean, before.believe(new[3:]).mean, atol=1e-12)
        np.testing.assert_allclose(belief.variance, whole.believe(new[3:]).variance, atol=1e-10)
        again = later.believe_again(new[3:], before.believe(new[3:]))
        np.testing.assert_allclose(again.variance, belief.variance, atol=1e-10)
        np.testing.assert_allclose(again.V, belief.V, atol=1e-9)
        assert np.all(again.variance < before.believe(new[3:]).variance)


def test_points_that_are_repeated_a_hundred_times_do_no_harm():
    X, y, new = drawn(2)
    many = Posterior.of(
        RBF,
        Hyperparameters(lengths=(0.4, 1.3, 0.7), noise=2e-5),
        np.repeat(X, 100, axis=0),
        OWNERS,
        np.repeat(y, 100),
    )
    belief = many.pending(np.repeat(X, 30, axis=0)).believe(np.concatenate([X, new]))
    assert np.all(np.isfinite(belief.mean))
    assert np.all(belief.variance > 0)
    np.testing.assert_allclose(belief.mean[:2], y, atol=1e-4)


@pytest.mark.parametrize("name", ["nested", "choice", "step"])
def test_every_space_gives_a_covariance_that_can_be_factored(name):
    cube, rng = Cube(space(name)), np.random.default_rng(0)
    features = cube.features(cube.snap(rng.random((60, cube.width))))
    aims = Aims.of(rng.standard_normal(60).tolist())
    fitted = fit_members(features, cube.owners, aims, 120)
    ensemble = Ensemble.of(fitted, features, cube.owners, aims)
    beliefs = ensemble.believe(features[:5])
    assert len(beliefs) == len(MEMBERS)
    assert all(np.all(np.isfinite(belief.mean)) for belief in beliefs)


def test_the_moments_are_those_of_a_mixture_of_the_plain_members():
    rng = np.random.default_rng(0)
    X = rng.random((15, 3))
    aims = Aims.of(np.exp(3 * X[:, 0]).tolist())
    fitted = fit_members(X, OWNERS, aims, 120)
    beliefs = Ensemble.of(fitted, X, OWNERS, aims).believe(rng.random((1, 3)))
    assert [ranked for _, ranked in MEMBERS] == [False, False, True, True]
    draws = [rng.normal(belief.mean[0], belief.sd[0], 200_000) for belief in beliefs[:2]]
    mean, sd = moments(beliefs)
    # Five standard errors of the draws: false alarms are rarer than one in a million.
    assert mean == pytest.approx(np.mean(draws), abs=5 * sd / 600)
    assert sd == pytest.approx(np.std(draws), rel=0.02)


def test_similarity_is_one_at_a_known_point_and_nowhere_more():
    X, y, new = drawn()
    aims = Aims.of(y.tolist())
    ensemble = Ensemble.of([AT] * 4, X, OWNERS, aims)
    alike = ensemble.pending(new).similarity(X[4:5])
    assert alike.shape == (20,)
    assert alike.argmax() == 4
    assert alike[4] == pytest.approx(1.0)
