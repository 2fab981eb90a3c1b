"""Covariances and posteriors with derivatives: against GPyTorch, differences, and a plain GP."""

import numpy as np
import pytest
import torch
from gpytorch.kernels import Matern52KernelGrad, MaternKernel

from search.bayes.gradient_data import Taught
from search.bayes.gradient_kernel import SLOPE_VARIANCE, Spots, profile
from search.bayes.gradient_model import RATE, SHAPE, Informed, Shape, build, fit, log_prior

OWNERS = [0, 1, 2]
LENGTHS = torch.tensor([0.4, 0.7, 1.1], dtype=torch.double)
SHAPE_OF = Shape(lengths=(0.4, 0.7, 1.1), noise=1e-3, slope_noise=1e-2)
NONE = np.empty(0, dtype=np.intp)


def points(n: int, c: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, c, generator=generator, dtype=torch.double)


def taught(X: torch.Tensor, at: list[int], along: list[int], *, seed: int = 1) -> Taught:
    """Values and slopes of sum_j sin(3 x_j + j), at some points and columns."""
    phase = torch.arange(X.shape[1])
    slopes = 3 * torch.cos(3 * X + phase)[at, along] if at else torch.empty(0)
    y = torch.sin(3 * X + phase).sum(1)
    places = [np.array(each, dtype=np.intp) for each in (at, along)]
    return Taught(X.numpy(), y.numpy(), *places, slopes.double().numpy())


def every(n: int, c: int) -> tuple[list[int], list[int]]:
    return [p for p in range(n) for _ in range(c)], list(range(c)) * n


def test_with_all_derivatives_it_is_the_kernel_of_gpytorch():
    X = points(6)
    at, along = map(torch.tensor, every(6, 3))
    reference = Matern52KernelGrad(ard_num_dims=3).double()
    reference.lengthscale = LENGTHS
    wanted = reference(X, X).to_dense().detach()
    found = Spots(X / LENGTHS, at, along).covariance()
    by_x = torch.cat([torch.ones(6, dtype=torch.double), 1 / LENGTHS[along]])
    # GPyTorch has the derivatives of a point after its value.
    order = [k for p in range(6) for k in (p, *range(6 + 3 * p, 9 + 3 * p))]
    torch.testing.assert_close((found * by_x[:, None] * by_x)[order][:, order], wanted)


def test_the_derivatives_are_what_differences_say():
    Z, eps = points(4) * 2, 1e-5
    at, along = torch.tensor([0, 2, 2, 3]), torch.tensor([1, 0, 2, 1])
    spots = Spots(Z, at, along)
    A = points(5, seed=3) * 2

    def cross(B):
        return profile((A[:, None] - B[None]).square().sum(-1))[0]

    for r, (p, j) in enumerate(zip(at.tolist(), along.tolist(), strict=True)):
        step = torch.zeros_like(Z)
        step[p, j] = eps
        differences = (cross(Z + step) - cross(Z - step))[:, p] / (2 * eps)
        torch.testing.assert_close(spots.cross(A)[4 + r], differences, rtol=1e-6, atol=1e-8)
    for r, (p, j) in enumerate(zip(at.tolist(), along.tolist(), strict=True)):
        ahead, behind = Z[p].clone(), Z[p].clone()
        ahead[j] += eps
        behind[j] -= eps
        moved = spots.cross(torch.stack([ahead, behind]))
        differences = (moved[:, 0] - moved[:, 1]) / (2 * eps)
        torch.testing.assert_close(spots.covariance()[4 + r], differences, rtol=1e-4, atol=1e-5)


def test_the_prior_variance_of_a_derivative():
    first = profile(torch.zeros(1, dtype=torch.double))[1]
    assert -2 * float(first) == pytest.approx(SLOPE_VARIANCE, rel=1e-9)


def test_without_derivatives_it_is_a_plain_gaussian_process():
    X, new = points(12), points(7, seed=5)
    known = taught(X, [], [])
    model = build(known, OWNERS, SHAPE_OF)
    kernel = MaternKernel(nu=2.5, ard_num_dims=3).double()
    kernel.lengthscale = LENGTHS
    with torch.no_grad():
        K = kernel(X, X).to_dense() + 1e-3 * torch.eye(12)
        k = kernel(X, new).to_dense()
        mean, mu = torch.from_numpy(known.y), float(model._mu * model.scale)
        wanted = mu + k.T @ torch.linalg.solve(K, mean - mu)
        variance = 1 - (k * torch.linalg.solve(K, k)).sum(0)
    found, sd = model.marginal(new)
    torch.testing.assert_close(found * model.scale, wanted)
    torch.testing.assert_close(sd.square(), variance)


def test_the_evidence_is_the_density_of_what_was_told():
    """By the definition: the density of y and of the derivatives by x, a^2 and mu at their best."""
    X = points(5)
    at, along = [0, 1, 1, 4], [2, 0, 1, 1]
    known = taught(X, at, along)

    def wanted(lengths):
        shape = torch.tensor([*lengths, 1e-3, 1e-2], dtype=torch.double)
        model = Informed(known, OWNERS, shape)
        spots = Spots(X / shape[:3], torch.tensor(at), torch.tensor(along))
        by_x = torch.cat([torch.ones(5), 1 / shape[:3][along]])
        noise = torch.tensor([1e-3] * 5 + [1e-2 * SLOPE_VARIANCE] * 4, dtype=torch.double)
        M = (spots.covariance() + torch.diag(noise)) * by_x[:, None] * by_x
        told = torch.from_numpy(np.concatenate([known.y, known.slopes]))
        variance = model.scale.square()
        mu = model._mu * model.scale
        centre = torch.cat([mu.expand(5), torch.zeros(4)])
        density = torch.distributions.MultivariateNormal(centre, variance * M).log_prob(told)
        prior = -(SHAPE + 1) * variance.log() - RATE / variance
        prior = prior - 0.5 * variance.log() - 0.5 * mu.square() / variance
        return float(density + prior) - float(model.evidence)

    # The same constant whatever the length scales.
    assert wanted([0.4, 0.7, 1.1]) == pytest.approx(wanted([2.0, 0.1, 0.5]), abs=1e-8)


def test_the_density_of_the_values_given_the_derivatives():
    X = points(5)
    at, along = [0, 1, 4], [2, 0, 1]
    model = build(taught(X, at, along), OWNERS, SHAPE_OF)
    mu, variance = model._mu * model.scale, model.scale.square()
    K = variance * model._M
    gain = torch.linalg.solve(K[5:, 5:], K[5:, :5]).T
    slopes = torch.from_numpy(taught(X, at, along).slopes) * LENGTHS[along]
    told = torch.distributions.MultivariateNormal(mu + gain @ slopes, K[:5, :5] - gain @ K[5:, :5])
    y = torch.from_numpy(taught(X, at, along).y)
    assert model.foretold() == pytest.approx(float(told.log_prob(y)), abs=1e-8)


def test_the_posterior_mean_has_the_slopes_that_were_told():
    X, eps = points(6), 1e-5
    at, along = every(6, 3)
    known = taught(X, at, along)
    exact = Shape(lengths=(0.4, 0.7, 1.1), noise=1e-5, slope_noise=1e-6)
    model = build(known, OWNERS, exact)
    for p, j, slope in zip(at, along, known.slopes, strict=True):
        step = torch.zeros(2, 3, dtype=torch.double)
        step[0, j], step[1, j] = eps, -eps
        mean = model.solve(X[p] + step)[0] * model.scale
        assert float(mean[0] - mean[1]) / (2 * eps) == pytest.approx(slope, abs=0.01)
    # A derivative more takes uncertainty away, and never adds any.
    less = build(taught(X, at[1:], along[1:]), OWNERS, exact)
    new = points(50, seed=9)
    assert (model.marginal(new)[1] <= less.marginal(new)[1] + 1e-9).all()
    assert (model.marginal(new)[1] < 0.95 * less.marginal(new)[1]).any()


def test_derivatives_are_worth_several_points():
    """On sum_j sin(3 x_j) over the square."""

    def error(n: int, *, slopes: bool) -> float:
        X = torch.quasirandom.SobolEngine(2, scramble=True, seed=1).draw(n, dtype=torch.double)
        at, along = every(n, 2) if slopes else ([], [])
        known = taught(X, at, along)
        shape = Shape(lengths=(1.2, 1.2), noise=1e-5, slope_noise=1e-5)
        model, new = build(known, [0, 1], shape), points(500, 2, seed=4)
        truth = torch.sin(3 * new + torch.arange(2)).sum(1)
        return float((model.solve(new)[0] * model.scale - truth).square().mean().sqrt())

    for n in (4, 8, 16):
        assert error(n, slopes=True) < 0.7 * error(n, slopes=False)


def test_the_fit_follows_the_true_gradient_and_finds_the_scales():
    X = points(20)
    X[:, 2] *= 0.2
    at, along = every(20, 3)
    known = taught(X, at, along)
    logs = torch.tensor([-0.5, 0.1, 0.3, -4.0, -3.0], dtype=torch.double, requires_grad=True)

    def value(x):
        return Informed(known, OWNERS, x.exp()).evidence + log_prior(x)

    assert torch.autograd.gradcheck(value, logs, eps=1e-6, atol=1e-4)
    start = Shape(lengths=(0.3,) * 3, noise=1e-2, slope_noise=1e-1)
    found = fit(known, OWNERS, [start], 60)
    before = torch.tensor([0.3, 0.3, 0.3, 1e-2, 1e-1], dtype=torch.double).log()
    after = torch.tensor([*found.lengths, found.noise, found.slope_noise]).double().log()
    assert float(value(after)) > float(value(before)) + 10
    assert found.slope_noise < 1e-3


def test_slopes_that_contradict_the_values_count_for_little():
    X = points(20)
    at, along = every(20, 3)
    known = taught(X, at, along)
    wrong = Taught(known.X, known.y, known.at, known.along, -3 * known.slopes)
    starts = [
        Shape(lengths=(1.0,) * 3, noise=1e-2, slope_noise=1e-4),
        Shape(lengths=(1.0,) * 3, noise=1e-2, slope_noise=1e2),
    ]
    for told in (known, wrong):  # what agrees is believed
        at_best = fit(told, OWNERS, starts, 80)
        assert (at_best.slope_noise > 1) is (told is wrong)
    new = points(200, seed=8)
    truth = torch.sin(3 * new + torch.arange(3)).sum(1)
    model = build(wrong, OWNERS, at_best)
    error = (model.solve(new)[0] * model.scale - truth).square().mean().sqrt()
    assert error < 0.5 * truth.std()
