"""The sparse axis-aligned prior: gradients, GPyTorch's marginal likelihood, and what it finds."""

import math

import gpytorch
import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime

from search.gp.fit import NUGGET, Points
from search.surrogates.sparse import (
    TAUS,
    Evidence,
    Hyperparameters,
    fit,
    fit_hyperparameters,
    log_prior,
    posterior,
)
from search.surrogates.surrogate import Observed


def sample(n, c, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, c))
    y = np.sin(6 * X[:, c // 3]) + 8 * (X[:, c // 2] - 0.4) ** 2 + 0.05 * rng.standard_normal(n)
    return Observed(X, (y - y.mean()) / y.std(), list(range(c)))


def test_the_gradient_agrees_with_differences():
    seen = sample(20, 4)
    evidence = Evidence(Points(seen.X, seen.owners), seen.y, 0.1)
    theta = np.log([1.0, 0.5, 2.0, 0.01, 1.3, 0.02])
    differences = approx_fprime(theta, lambda t: evidence(t)[0], 1e-6)
    np.testing.assert_allclose(evidence(theta)[1], differences, rtol=1e-4, atol=1e-5)


def gpytorch_model(seen, at, mean):
    class Exact(gpytorch.models.ExactGP):
        def __init__(self):
            X, y = torch.from_numpy(seen.X), torch.from_numpy(seen.y)
            super().__init__(X, y, gpytorch.likelihoods.GaussianLikelihood())
            matern = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=seen.X.shape[1])
            self.kernel = gpytorch.kernels.ScaleKernel(matern)

        def forward(self, X):
            constant = torch.full((len(X),), mean, dtype=torch.double)
            return gpytorch.distributions.MultivariateNormal(constant, self.kernel(X))

    model = Exact().double()
    model.kernel.base_kernel.lengthscale = torch.from_numpy(at.lengths)
    model.kernel.outputscale = at.scale
    model.likelihood.noise = at.noise + NUGGET
    return model


def test_marginal_likelihood_and_posterior_are_those_of_gpytorch():
    seen = sample(15, 3)
    at = Hyperparameters(np.array([2.0, 0.7, 0.1]), 1.4, 0.03)
    theta = np.log([*at.rho, at.scale, at.noise])
    evidence = Evidence(Points(seen.X, seen.owners), seen.y, 0.1)
    gaussian = posterior(seen, [at]).parts[0]
    mean = float(gaussian.trend(seen.X[:1])[0])
    model = gpytorch_model(seen, at, mean)
    mll = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    with torch.no_grad():
        theirs = float(mll(model(*model.train_inputs), model.train_targets)) * len(seen.y)
    ours = evidence(theta)[0] - log_prior(at, 0.1)[0] + 0.5 * len(seen.y) * math.log(2 * math.pi)
    assert ours == pytest.approx(-theirs, rel=1e-6)
    fresh = np.random.default_rng(3).random((6, 3))
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(fresh))
    found, sd = gaussian.moments(fresh)
    np.testing.assert_allclose(found, expected.mean.numpy(), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(sd, expected.stddev.numpy(), rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_of_fifty_parameters_it_finds_the_two_that_matter(seed):
    seen = sample(50, 50, seed)
    found = fit_hyperparameters(Points(seen.X, seen.owners), seen.y, 480)
    assert len(found) == len(TAUS) == 4
    for at in found:
        assert set(np.argsort(at.lengths)[:2]) == {16, 25}
        assert np.sort(at.lengths)[2] > 5 * np.sort(at.lengths)[1]


def test_it_predicts_from_the_few_where_a_plain_model_is_lost():
    seen = sample(60, 50)
    model = fit(seen, 480, np.random.default_rng(0))
    fresh = sample(200, 50, seed=9)
    mean, _ = model.moments(fresh.X)
    assert np.corrcoef(mean, fresh.y)[0, 1] > 0.95


def test_the_prior_is_the_one_that_eriksson_and_jankowiak_state():
    """Against the densities themselves, each up to its constant."""
    half_cauchy = torch.distributions.HalfCauchy(0.2)
    scale, noise = torch.distributions.Gamma(2.0, 0.15), torch.distributions.Gamma(0.9, 10.0)

    def density(at):
        rho = half_cauchy.log_prob(torch.tensor(at.rho)).sum()
        return float(
            rho + scale.log_prob(torch.tensor(at.scale)) + noise.log_prob(torch.tensor(at.noise))
        )

    a = Hyperparameters(np.array([0.1, 3.0]), 1.5, 0.02)
    b = Hyperparameters(np.array([0.5, 0.01]), 0.7, 0.3)
    ours = log_prior(b, 0.2)[0] - log_prior(a, 0.2)[0]
    assert ours == pytest.approx(density(a) - density(b), rel=1e-5)
