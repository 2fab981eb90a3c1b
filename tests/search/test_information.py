"""Knowledge gradient and entropy searches, against closed forms and BoTorch's own classes."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from botorch.acquisition.max_value_entropy_search import qLowerBoundMaxValueEntropy
from scipy.integrate import quad
from scipy.stats import norm, truncnorm

from search.bayes.anchored import Observed
from search.bayes.information import JointEntropy, KnowledgeGradient, Maxima, MaxValueEntropy
from search.bayes.model import Hyperparameters, build

RNG = np.random.default_rng(1)


def tensor(rows):
    return torch.tensor(rows, dtype=torch.double)


def fitted(noise):
    X = tensor(RNG.random((9, 2)))
    y = torch.sin(5 * X[:, 0]) - X[:, 1]
    return build(X, y, [0, 1], Hyperparameters(lengths=(0.4, 0.7), noise=noise))


def envelope(a, b):
    """E[max_i(a_i + b_i z)] - max_i a_i by sweeping the lines in order of slope (Frazier 2009)."""
    order = np.lexsort((a, b))
    lines = []
    for i in order:
        while lines and b[lines[-1]] == b[i]:
            lines.pop()
        while len(lines) > 1 and _meet(a, b, lines[-2], i) <= _meet(a, b, lines[-2], lines[-1]):
            lines.pop()
        lines.append(i)
    cuts = [-math.inf, *(_meet(a, b, i, j) for i, j in pairwise(lines)), math.inf]
    parts = (
        a[i] * (norm.cdf(high) - norm.cdf(low)) + b[i] * (norm.pdf(low) - norm.pdf(high))
        for i, (low, high) in zip(lines, pairwise(cuts), strict=True)
    )
    return sum(parts) - max(a)


def _meet(a, b, i, j):
    return (a[i] - a[j]) / (b[j] - b[i])


def test_the_sweep_itself_is_the_expected_maximum():
    assert envelope(np.zeros(2), np.array([0.0, 1.0])) == pytest.approx(norm.pdf(0))
    a, b = RNG.standard_normal(6), RNG.standard_normal(6)
    exact, _ = quad(lambda z: max(a + b * z) * norm.pdf(z), -9, 9, limit=200)
    assert envelope(a, b) == pytest.approx(exact - max(a), abs=1e-6)


@pytest.mark.parametrize("noise", [1e-4, 0.05])
def test_knowledge_gradient_is_the_closed_form_over_a_set_of_points(noise):
    model = fitted(noise)
    observed = Observed(model)
    points, new = tensor(RNG.random((30, 2))), tensor(RNG.random((15, 2)))
    found = KnowledgeGradient(observed, points)(new).numpy()
    for x, value in zip(new, found, strict=True):
        everywhere = torch.cat([points, x[None]])
        joint = model.posterior(everywhere).distribution
        slopes = joint.covariance_matrix[-1] / (joint.variance[-1] + observed.noise).sqrt()
        exact = envelope(joint.mean.detach().numpy(), slopes.detach().numpy())
        assert value == pytest.approx(exact, abs=2e-3, rel=0.02)


def test_knowledge_gradient_without_noise_over_observed_points_is_expected_improvement():
    model = fitted(1.1e-5)
    observed = Observed(model)
    new = tensor(RNG.random((10, 2)))
    mean, sd = (v.numpy() for v in observed.marginal(new))
    best = float(observed.marginal(observed.X)[0].max())
    z = (mean - best) / sd
    expected = sd * (z * norm.cdf(z) + norm.pdf(z)) - np.maximum(mean - best, 0)
    found = KnowledgeGradient(observed, observed.X)(new).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("noise", [1e-4, 0.05])
def test_max_value_entropy_is_that_of_botorch(noise):
    model = fitted(noise)
    values = tensor([1.3, 1.6, 0.9])
    theirs = qLowerBoundMaxValueEntropy(model, tensor(RNG.random((20, 2))))
    theirs.posterior_max_values = values.reshape(-1, 1)
    new = tensor(RNG.random((12, 2)))
    with torch.no_grad():
        expected = theirs(new[:, None]).flatten()
    found = MaxValueEntropy(Observed(model), Maxima(new[:3], values))(new)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_max_value_entropy_falls_as_the_maximum_gets_out_of_reach():
    """Without noise it is -log(1 - r(g + r)) / 2, which goes to 0 with g."""
    observed = Observed(fitted(1.1e-5))
    new = tensor([[0.95, 0.05]])
    mean, sd = observed.marginal(new)
    found = []
    for g in (0.0, 1.0, 2.0, 8.0):
        r = norm.pdf(g) / norm.cdf(g)
        value = float(MaxValueEntropy(observed, Maxima(new, mean + g * sd))(new))
        assert value == pytest.approx(-0.5 * math.log(1 - r * (g + r)), abs=2e-3)
        found.append(value)
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1e-6


@pytest.mark.parametrize("noise", [0.01, 0.2])
def test_joint_entropy_is_that_of_a_model_that_knows_the_maximum(noise):
    """Each maximum as one more observation, without noise, and a ceiling above the rest.

    (BoTorch's qJointEntropySearch takes the conditional mean as if the maximum had been observed
    with the model's noise and the conditional variance as if without.)
    """
    model = fitted(noise)
    observed = Observed(model)
    points, values = tensor(RNG.random((4, 2))), np.array([1.1, 1.4, 1.2, 1.6])
    new = tensor(RNG.random((12, 2)))
    gained = []
    for point, value in zip(points, values, strict=True):
        X = torch.cat([observed.X, point[None]])
        K = observed.cross(X, X).numpy() + np.diag([noise] * len(observed.X) + [2e-6])
        k = observed.cross(X, new).numpy()
        y = np.append(model.train_targets.numpy(), value) - float(observed.mean)
        mean, variance = (
            float(observed.mean) + k.T @ np.linalg.solve(K, y),
            1 - np.einsum("ij,ij->j", k, np.linalg.solve(K, k)),
        )
        sd = np.sqrt(variance)
        below = truncnorm.var(-np.inf, (value - mean) / sd) * variance
        before = observed.marginal(new)[1].numpy() ** 2
        gained.append(0.5 * np.log((before + noise) / (below + noise)))
    found = JointEntropy(observed, Maxima(points, tensor(values)))(new)
    np.testing.assert_allclose(found, np.mean(gained, axis=0), atol=1e-3)


def test_maxima_are_drawn_where_the_posterior_may_be_highest():
    observed = Observed(fitted(1e-3))
    X = tensor(RNG.random((200, 2)))
    drawn = Maxima.drawn(observed, X, 64, torch.Generator().manual_seed(0))
    mean, sd = observed.marginal(drawn.points)
    assert torch.all((drawn.values - mean).abs() < 5 * sd + 0.01)
    assert float(drawn.values.mean()) > float(observed.marginal(X)[0].max())


def test_what_is_believed_moves_no_mean_and_narrows_the_rest():
    observed = Observed(fitted(0.02))
    pending, new = tensor([[0.9, 0.9]]), tensor(RNG.random((8, 2)))
    believed = observed.believing(pending)
    (mean, sd), (mean_after, sd_after) = observed.marginal(new), believed.marginal(new)
    torch.testing.assert_close(mean_after, mean, atol=1e-8, rtol=0)
    assert torch.all(sd_after <= sd + 1e-9)
    before, after = (float(o.marginal(pending)[1]) for o in (observed, believed))
    assert after**2 == pytest.approx(1 / (1 / before**2 + 1 / 0.02), rel=1e-6)
