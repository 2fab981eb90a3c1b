"""Network surrogates: derivatives, and what each must give where the answer is known."""

import gpytorch
import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.stats import kstest

from search.gp.fit import Hyperparameters
from search.gp.kernels import MATERN
from search.gp.posterior import Posterior
from search.surrogates.adam import descend
from search.surrogates.deep_kernel import NUGGET, Evidence, posterior
from search.surrogates.ensemble import fit_members
from search.surrogates.gaussian import Gaussian
from search.surrogates.hamiltonian import Plan, sample
from search.surrogates.linearised import Linearised, linearise
from search.surrogates.network import GAIN, Network
from search.surrogates.networks import HMC, DeepEnsemble, DeepKernel, Laplace
from search.surrogates.particles import Particles
from search.surrogates.regression import Regression
from search.surrogates.surrogate import Observed

ALL = [DeepEnsemble(), DeepKernel(), HMC(), Laplace()]
LINEAR = Network((2, 1))


def rng(seed=0):
    return np.random.default_rng(seed)


def observed(n=30, seed=0):
    X = rng(seed).random((n, 2))
    y = np.sin(5 * X[:, 0]) + X[:, 1] ** 2
    return Observed(X, (y - y.mean()) / y.std(), [0, 1])


def bayesian_linear(X, y, noise):
    """Mean and covariance of a linear network's weights, by the normal equations."""
    F = np.column_stack([X * np.sqrt(GAIN / 2), np.ones(len(X))])
    covariance = np.linalg.inv(F.T @ F / noise**2 + np.eye(3))
    return covariance @ F.T @ y / noise**2, covariance


def test_outputs_are_those_of_torch():
    network, X = Network((3, 5, 4, 1)), rng().random((7, 3))
    w = rng().standard_normal((2, network.size))
    for k in range(2):
        h = torch.from_numpy(X)
        layers = [(a[k], b[k]) for a, b in network.layers(w)]
        for place, (a, b) in enumerate(layers):
            h = h @ torch.from_numpy(a) + torch.from_numpy(b)
            h = h if place == len(layers) - 1 else torch.tanh(h)
        np.testing.assert_allclose(network.outputs(w, X)[k], h[:, 0].numpy())


def test_gradients_and_jacobians_agree_with_differences():
    network, X = Network((3, 5, 4, 1)), rng().random((6, 3))
    w = rng().standard_normal((2, network.size))
    problem = Regression(network, X, rng().standard_normal((2, 6)), 0.3, anchor=0.1)
    for k in range(2):

        def value(v, k=k):
            both = w.copy()
            both[k] = v
            return problem(both)[0][k]

        differences = approx_fprime(w[k], value, 1e-6)
        np.testing.assert_allclose(problem(w)[1][k], differences, rtol=1e-3, atol=1e-3)
        jacobian = approx_fprime(w[k], lambda v: network.outputs(v[None], X)[0], 1e-7)
        np.testing.assert_allclose(network.jacobian(w[k], X), jacobian, atol=1e-5)


def test_random_networks_are_alike_whatever_their_width():
    X, spreads = np.array([[0.5, -1.0]]), []
    for width in (8, 64):
        network = Network((2, width, width, 1))
        spreads.append(network.outputs(rng().standard_normal((3000, network.size)), X).std())
    assert spreads[0] == pytest.approx(spreads[1], rel=0.1)


def test_adam_reaches_the_minimum_of_a_quadratic():
    scales, centre = np.array([1.0, 10.0, 100.0]), np.array([1.0, -2.0, 3.0])
    found = descend(lambda w: scales * (w - centre), np.zeros((1, 3)), 600, 0.1)
    np.testing.assert_allclose(found[0], centre, atol=1e-3)


def test_an_ensemble_of_linear_networks_is_drawn_from_the_posterior():
    seen = observed(20)
    problem = Regression(LINEAR, seen.X, seen.y, 0.5)
    w = fit_members(problem, 3000, 600, 0.05, rng())
    mean, covariance = bayesian_linear(seen.X, seen.y, 0.5)
    np.testing.assert_allclose(w.mean(axis=0), mean, atol=4 * np.sqrt(covariance.max() / 3000))
    np.testing.assert_allclose(np.cov(w.T), covariance, atol=0.1 * covariance.max())


def test_hamiltonian_moves_sample_a_normal_distribution():
    """Scales from 0.2 to 2; the chains start far out."""
    scales = np.array([0.2, 1.0, 2.0])

    def energy(w):
        z = w / scales
        return 0.5 * np.square(z).sum(axis=1), z / scales

    found = sample(energy, np.full((20, 3), 3.0), Plan(100, 300, 15), 0.01, rng())
    assert 0.65 < found.accepted < 0.95
    flat = found.states.reshape(-1, 3) / scales
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(flat.var(axis=0), 1, rtol=0.1)
    thin = found.states[::10, :, 0].ravel() / scales[0]
    assert kstest(thin, "norm").pvalue > 0.01


def test_hamiltonian_moves_sample_the_posterior_of_a_linear_network():
    seen = observed(20)
    problem = Regression(LINEAR, seen.X, seen.y, 0.5)
    w = sample(problem, np.zeros((16, 3)), Plan(100, 200, 10), 0.05, rng()).states.reshape(-1, 3)
    mean, covariance = bayesian_linear(seen.X, seen.y, 0.5)
    np.testing.assert_allclose(w.mean(axis=0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(w.T), covariance, atol=0.15 * covariance.max())


def test_a_trajectory_that_runs_away_is_turned_down():
    def energy(w):
        return np.square(w).sum(axis=1) ** 4, 8 * w * np.square(w).sum(axis=1)[:, None] ** 3

    start = np.full((2, 2), 0.5)
    found = sample(energy, start, Plan(60, 20, 30), 1e3, rng())
    assert np.isfinite(found.states).all()
    assert found.accepted > 0.3


def test_linearised_laplace_of_a_linear_model_is_bayesian_linear_regression():
    """Wherever it is linearised."""
    seen = observed(20)
    for seed in range(3):
        w = rng(seed).standard_normal(3)
        unit = Linearised(LINEAR, w, [0, 1], 1.0)
        model = Gaussian.of(unit, seen.X, seen.y, 0.25, unit.trend)
        mean, covariance = bayesian_linear(2 * seen.X - 1, seen.y, 0.5)
        fresh = rng(9).random((5, 2))
        F = np.column_stack([(2 * fresh - 1) * np.sqrt(GAIN / 2), np.ones(5)])
        found, sd = model.moments(fresh)
        np.testing.assert_allclose(found, F @ mean, rtol=1e-7)
        np.testing.assert_allclose(sd**2, np.einsum("ik,kl,il->i", F, covariance, F), rtol=1e-6)


def test_linearised_laplace_has_the_covariance_of_the_gauss_newton_matrix():
    network = Network((2, 4, 1))
    w, seen = rng().standard_normal(network.size), observed(8)
    model = linearise(Linearised(network, w, [0, 1], 1.0), seen)
    J = network.jacobian(w, 2 * seen.X - 1)
    noise = model.L[0, 0] ** 2 - model.covariance.diagonal(seen.X[:1])[0]
    precision = J.T @ J / noise + np.eye(network.size) / model.covariance.variance
    fresh = network.jacobian(w, 2 * (A := rng(4).random((3, 2))) - 1)
    expected = np.einsum("ik,kl,il->i", fresh, np.linalg.inv(precision), fresh)
    np.testing.assert_allclose(model.moments(A)[1] ** 2, expected, rtol=1e-5)


def test_the_gradient_of_a_deep_kernel_s_evidence_agrees_with_differences():
    network, seen = Network((2, 4, 3)), observed(12)
    evidence = Evidence(network, 2 * seen.X - 1, seen.y)
    theta = np.concatenate([rng().standard_normal(network.size), [0.3, -3.0]])
    differences = approx_fprime(theta, lambda t: evidence(t)[0], 1e-6)
    np.testing.assert_allclose(evidence(theta)[1], differences, rtol=1e-3, atol=1e-3)


def identity():
    network = Network((2, 2))
    return network, np.concatenate(
        [np.eye(2).ravel() * np.sqrt(2 / GAIN), np.zeros(2), [0.0, -3.0]]
    )


def test_a_deep_kernel_whose_network_does_nothing_is_a_gaussian_process():
    seen, fresh = observed(15), rng(3).random((6, 2))
    model = posterior(*identity(), seen)
    # Inputs are twice as wide as features.
    at = Hyperparameters(lengths=(0.5, 0.5), noise=float(np.exp(-3.0)))
    belief = Posterior.of(MATERN, at, seen.X, [0, 1], seen.y).believe(fresh)
    mean, sd = model.moments(fresh)
    np.testing.assert_allclose(mean, belief.mean, rtol=1e-6)
    np.testing.assert_allclose(sd, belief.sd, rtol=1e-6)


def test_its_evidence_is_that_of_gpytorch():
    seen = observed(15)
    network, theta = identity()
    kernel = gpytorch.kernels.MaternKernel(nu=2.5)
    kernel.lengthscale = 1.0
    Z = torch.from_numpy(2 * seen.X - 1)
    K = kernel.double()(Z).to_dense().detach() + (np.exp(-3.0) + NUGGET) * torch.eye(15)
    ones, y = torch.ones(15, dtype=torch.double), torch.from_numpy(seen.y)
    m = float((ones @ torch.linalg.solve(K, y)) / (ones @ torch.linalg.solve(K, ones)))
    normal = torch.distributions.MultivariateNormal(torch.full_like(y, m), K)
    priors = 0.5 * float(theta[:-1] @ theta[:-1]) + 0.5
    ours = Evidence(network, Z.numpy(), seen.y)(theta)[0] - priors + 7.5 * np.log(2 * np.pi)
    assert ours == pytest.approx(-float(normal.log_prob(y)), rel=1e-6)


def test_functions_keep_their_moments_when_they_are_spread():
    w = rng().standard_normal((12, 3))
    model = Particles(lambda X: w @ np.column_stack([X, np.ones(len(X))]).T, 12)
    far = np.full((1, 2), 50.0)
    draws, X = model.anchored(far, 1, rng()), rng().random((4, 2))
    means, sds = draws.believe(X)
    mean, sd = model.moments(X)
    np.testing.assert_allclose(means.mean(axis=0), mean)
    np.testing.assert_allclose(means.var(axis=0) + (sds**2).mean(axis=0), sd**2)
    assert draws.believe(far)[1].max() < 1e-5


@pytest.mark.parametrize("surrogate", ALL, ids=lambda s: s.kind)
def test_it_fits_a_smooth_function_and_is_less_sure_far_from_what_it_saw(surrogate):
    seen = observed(40)
    near = seen.X[:, 0] < 0.6
    part = Observed(seen.X[near], seen.y[near], seen.owners)
    model = surrogate.fit(part, rng())
    inside, outside = part.X * 0.9 + 0.02, part.X + np.array([0.9, 0.0])
    y = np.sin(5 * inside[:, 0]) + inside[:, 1] ** 2
    raw = np.sin(5 * seen.X[:, 0]) + seen.X[:, 1] ** 2
    mean, sd = model.moments(inside)
    assert np.sqrt(np.mean((mean - (y - raw.mean()) / raw.std()) ** 2)) < 0.25
    assert np.median(model.moments(outside)[1]) > 2 * np.median(sd)


@pytest.mark.parametrize("surrogate", ALL, ids=lambda s: s.kind)
def test_losses_that_are_all_equal_leave_a_finite_model(surrogate):
    seen = Observed(rng().random((8, 2)), np.zeros(8), [0, 1])
    mean, sd = surrogate.fit(seen, rng()).moments(seen.X)
    assert np.abs(mean).max() < 0.2
    assert np.isfinite(sd).all()
