"""The marginal likelihood, its gradient and its fits, against GPyTorch and against differences."""

import math

import gpytorch
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize
from scipy.stats import lognorm

from search.gp.fit import (
    LENGTH,
    NOISE,
    NUGGET,
    Evidence,
    Hyperparameters,
    Points,
    cold_starts,
    fit,
    log_prior,
)
from search.gp.kernels import MATERN, RBF, by_group, pairs, squared_distances

KERNELS = pytest.mark.parametrize("kernel", [RBF, MATERN], ids=lambda kernel: kernel.name)


def drawn(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, p))
    y = np.sin(5 * X[:, 0]) + X.sum(axis=1) ** 2 + 0.1 * rng.standard_normal(n)
    return X, (y - y.mean()) / y.std()


def prior_by_scipy(theta):
    """The log normal densities of lengths and noise, without their constants."""
    p = len(theta) - 1
    spread, middle = math.sqrt(3), math.sqrt(2) + 0.5 * math.log(p)
    density = lognorm.logpdf(np.exp(theta[:-1]), s=spread, scale=math.exp(middle)).sum()
    density += lognorm.logpdf(math.exp(theta[-1]), s=1.0, scale=math.exp(-4.0))
    return -density - p * math.log(spread) - 0.5 * (p + 1) * math.log(2 * math.pi)


def likelihood_by_gpytorch(kernel, X, y, theta, mean):
    """The negative log marginal likelihood of the same model, without its constant."""
    made = {"rbf": gpytorch.kernels.RBFKernel, "matern52": gpytorch.kernels.MaternKernel}
    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_constraint=gpytorch.constraints.Positive()
    ).double()
    covariance = made[kernel.name](ard_num_dims=X.shape[1]).double()
    covariance.lengthscale = torch.from_numpy(np.exp(theta[:-1]))
    likelihood.noise = torch.tensor(math.exp(theta[-1]) + NUGGET, dtype=torch.double)
    prior = gpytorch.distributions.MultivariateNormal(
        torch.full((len(X),), mean, dtype=torch.double), covariance(torch.from_numpy(X))
    )
    with torch.no_grad():
        density = likelihood(prior).log_prob(torch.from_numpy(y))
    return -float(density) - 0.5 * len(X) * math.log(2 * math.pi)


def by_least_squares(kernel, X, y, theta):
    """1'K^-1 y / 1'K^-1 1."""
    scaled = X / np.exp(theta[:-1])
    K = kernel.correlation(squared_distances(scaled, scaled))
    K += (math.exp(theta[-1]) + NUGGET) * np.eye(len(X))
    solved = np.linalg.solve(K, np.ones(len(X)))
    return float(solved @ y / solved.sum())


@KERNELS
@pytest.mark.parametrize(("n", "p"), [(3, 1), (25, 4)])
def test_the_evidence_is_that_of_gpytorch(kernel, n, p):
    X, y = drawn(n, p)
    theta = np.append(np.linspace(-1.2, 0.7, p), -3.1)
    value, _ = Evidence(Points(X, list(range(p))), y, kernel)(theta)
    mean = by_least_squares(kernel, X, y, theta)
    expected = likelihood_by_gpytorch(kernel, X, y, theta, mean) + prior_by_scipy(theta)
    assert value == pytest.approx(expected, rel=1e-9)


@KERNELS
@settings(deadline=None, max_examples=25)
@given(
    st.integers(2, 12),
    st.integers(1, 4),
    st.integers(0, 1000),
    st.floats(-2, 3),
    st.floats(-9, 0.9),
)
def test_the_gradient_is_that_of_differences(kernel, n, p, seed, length, noise):
    X, y = drawn(n, p, seed)
    evidence = Evidence(Points(X, list(range(p))), y, kernel)
    theta = np.append(np.full(p, length) + 0.1 * np.arange(p), noise)
    _, gradient = evidence(theta)
    steps = 1e-5 * np.eye(p + 1)
    expected = [(evidence(theta + h)[0] - evidence(theta - h)[0]) / 2e-5 for h in steps]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_the_priors_is_that_of_differences():
    theta = np.array([0.3, -1.0, 2.0, -5.0])
    slopes = approx_fprime(theta, lambda at: log_prior(at)[0], 1e-7)
    np.testing.assert_allclose(log_prior(theta)[1], slopes, atol=1e-4)


@KERNELS
def test_a_kernel_and_its_slope_agree(kernel):
    s = np.array([1e-3, 0.01, 0.3, 1.0, 7.0, 80.0])
    correlation, slope = kernel.with_slope(s)
    np.testing.assert_allclose(correlation, kernel.correlation(s), rtol=1e-14)
    h = 1e-3 * s
    differences = -2 * (kernel.correlation(s + h) - kernel.correlation(s - h)) / (2 * h)
    np.testing.assert_allclose(slope, differences, rtol=1e-4, atol=1e-12)
    zero, steepest = kernel.with_slope(np.zeros(1))
    assert zero[0] == 1
    assert steepest[0] == {"rbf": 1, "matern52": 5 / 3}[kernel.name]


def test_a_choice_has_one_length_scale_however_many_columns_it_takes():
    root = math.sqrt(0.5)
    X = np.array([[0.2, root, 0, 0], [0.2, 0, root, 0], [0.7, 0, 0, root], [0.7, root, 0, 0]])
    D = by_group(X, [0, 1, 1, 1])
    found = {tuple(map(int, pair)): D[:, k] for k, pair in enumerate(zip(*pairs(4), strict=True))}
    np.testing.assert_allclose(found[1, 0], [0, 1], atol=1e-15)
    np.testing.assert_allclose(found[3, 2], [0, 1], atol=1e-15)
    np.testing.assert_allclose(found[3, 0], [0.25, 0], atol=1e-15)
    np.testing.assert_allclose(found[2, 1], [0.25, 1], atol=1e-15)


@KERNELS
def test_a_fit_gets_as_far_as_a_patient_optimiser(kernel):
    X, y = drawn(40, 3)
    evidence = Evidence(Points(X, [0, 1, 2]), y, kernel)
    at = fit(evidence, cold_starts(3), 400)
    reached = evidence(np.log([*at.lengths, at.noise]))[0]
    bounds = np.log([LENGTH] * 3 + [NOISE])
    patient = [
        minimize(evidence, start, jac=True, method="L-BFGS-B", bounds=bounds).fun
        for start in np.random.default_rng(1).uniform([-2, -2, -2, -8], [2, 2, 2, -1], (10, 4))
    ]
    assert reached < min(patient) + 0.05


def test_a_fit_finds_out_which_parameters_matter_and_stays_within_its_bounds():
    rng = np.random.default_rng(0)
    X = rng.random((40, 3))
    y = np.sin(6 * X[:, 1])
    at = fit(Evidence(Points(X, [0, 1, 2]), y / y.std(), RBF), cold_starts(3), 100)
    assert at.lengths[1] < 1 < min(at.lengths[0], at.lengths[2])
    assert at.sound
    assert at.noise < 1e-3


@pytest.mark.parametrize("evaluations", [30, 60, 200])
def test_a_fit_keeps_to_its_evaluations(evaluations):
    X, y = drawn(30, 5)
    evidence = Evidence(Points(X, list(range(5))), y, MATERN)
    calls = []

    def counted(theta):
        calls.append(1)
        return evidence(theta)

    fit(counted, cold_starts(5), evaluations)
    assert 2 <= len(calls) <= evaluations


def test_a_constant_is_fitted_by_the_priors_alone():
    X, _ = drawn(10, 2)
    at = fit(Evidence(Points(X, [0, 1]), np.zeros(10), RBF), cold_starts(2), 100)
    assert at.sound


def test_what_is_not_finite_does_not_get_out():
    X, y = drawn(10, 2)
    with pytest.raises((FloatingPointError, np.linalg.LinAlgError)):
        fit(Evidence(Points(X * math.nan, [0, 1]), y, RBF), cold_starts(2), 60)
    assert not Hyperparameters(lengths=(math.nan,), noise=0.1).sound
    assert not Hyperparameters(lengths=(1.0,), noise=math.inf).sound
