"""The infinite-width kernel against BoTorch's, wide random networks, and differences."""

import numpy as np
import pytest
import torch
from botorch.models.kernels import InfiniteWidthBNNKernel
from scipy.optimize import approx_fprime

from search.surrogates.infinite import (
    CENTRE,
    Evidence,
    InfiniteWidthCovariance,
    fit,
    infinite_width,
    inner,
    with_slopes,
)
from search.surrogates.inputs import network_inputs
from search.surrogates.surrogate import Observed


def points(n, c, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, c))


def observed(n=25, c=3):
    X = np.random.default_rng(1).random((n, c))
    y = np.sin(4 * X[:, 0]) + X[:, 1]
    return Observed(X, (y - y.mean()) / y.std(), list(range(c)))


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_it_is_the_kernel_that_botorch_has(depth):
    A, B = points(6, 4), points(5, 4, seed=1)
    kernel = InfiniteWidthBNNKernel(depth=depth).double()
    kernel.weight_var, kernel.bias_var = 10.0, 1.3
    theirs = kernel(torch.from_numpy(A), torch.from_numpy(B)).to_dense().detach().numpy()
    ours = infinite_width(inner(A, B, 4), depth=depth, weight=10.0, bias=1.3)
    np.testing.assert_allclose(ours.xy, theirs, rtol=1e-6)


def test_the_variance_follows_the_recursion_of_its_layers():
    x = points(1, 2)
    gram = infinite_width(inner(x, x, 2), depth=2, weight=10.0, bias=1.3)
    first = 1.3 + 10.0 * float(x[0] @ x[0]) / 2
    expected = 1.3 + 5.0 * (1.3 + 5.0 * first)
    assert gram.xy == pytest.approx(expected)
    assert gram.xx == pytest.approx(expected)


def test_a_wide_random_network_comes_out_as_the_kernel_says():
    """Two layers of 200 units, 1,000 networks: 4.5% is one standard error of a variance."""
    rng, X = np.random.default_rng(0), points(3, 2)
    weight, bias, width = 2.0, 0.3, 200
    outputs = []
    for _ in range(1000):
        h = X * 1.0
        for units in (width, width, 1):
            W = rng.standard_normal((h.shape[1], units)) * np.sqrt(weight / h.shape[1])
            z = h @ W + np.sqrt(bias) * rng.standard_normal(units)
            h = np.maximum(z, 0)
        outputs.append(z[:, 0])
    found = np.array(outputs).T @ np.array(outputs) / len(outputs)
    expected = infinite_width(inner(X, X, 2), depth=2, weight=weight, bias=bias).xy
    np.testing.assert_allclose(found, expected, rtol=0.15)


def test_slopes_agree_with_differences():
    X = points(5, 3)

    def at(weight, bias):
        return infinite_width(inner(X, X, 3), depth=3, weight=weight, bias=bias).xy

    _, by_weight, by_bias = with_slopes(inner(X, X, 3), depth=3, weight=3.0, bias=0.7)
    step = 1e-6
    up, down = np.exp(step), np.exp(-step)
    differences = (at(3.0 * up, 0.7) - at(3.0 * down, 0.7)) / (2 * step)
    np.testing.assert_allclose(by_weight.xy, differences, rtol=1e-5)
    differences = (at(3.0, 0.7 * up) - at(3.0, 0.7 * down)) / (2 * step)
    np.testing.assert_allclose(by_bias.xy, differences, rtol=1e-5)


def test_the_gradient_of_what_a_fit_minimises_agrees_with_differences():
    evidence = Evidence(observed(), depth=3)
    theta = CENTRE + np.array([0.5, -0.8, 0.3])
    differences = approx_fprime(theta, lambda t: evidence(t)[0], 1e-6)
    np.testing.assert_allclose(evidence(theta)[1], differences, rtol=1e-4)


def test_a_fit_climbs_within_its_evaluations_and_predicts(monkeypatch):
    calls = []
    plain = Evidence.__call__
    monkeypatch.setattr(Evidence, "__call__", lambda *a: calls.append(1) or plain(*a))
    seen = observed(60)
    model = fit(seen, depth=3, evaluations=40)
    assert 3 < len(calls) <= 40 + 20  # a line search under way ends first
    fresh = np.random.default_rng(5).random((200, 3))
    y = np.sin(4 * fresh[:, 0]) + fresh[:, 1]
    raw = np.sin(4 * seen.X[:, 0]) + seen.X[:, 1]
    mean, sd = model.moments(fresh)
    error = mean - (y - raw.mean()) / raw.std()
    assert np.sqrt(np.mean(error**2)) < 0.2
    assert np.mean(np.abs(error) < 2 * sd + 0.1) > 0.9


def test_losses_that_are_all_equal_leave_a_model_that_expects_them():
    seen = Observed(points(8, 2) / 2 + 0.5, np.zeros(8), [0, 1])
    mean, sd = fit(seen, depth=3, evaluations=30).moments(seen.X)
    assert np.abs(mean).max() < 1e-9
    assert np.isfinite(sd).all()


def test_inputs_are_centred_and_choices_count_as_much_as_numbers():
    half = np.sqrt(0.5)
    X = np.array([[0.0, half, 0.0], [1.0, 0.0, half], [0.5, half, 0.0]])
    np.testing.assert_allclose(
        network_inputs(X, [0, 1, 1]), [[-1, 1, 0], [1, 0, 1], [0, 1, 0]], atol=1e-12
    )


def test_the_covariance_of_features_is_one():
    X = np.random.default_rng(0).random((7, 3))
    covariance = InfiniteWidthCovariance([0, 1, 2], 3, 10.0, 1.3, 0.01)
    K = covariance.cross(X, X)
    np.testing.assert_allclose(np.diag(K), covariance.diagonal(X))
    assert np.linalg.eigvalsh(K).min() > -1e-9
