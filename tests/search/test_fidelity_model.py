"""The model of losses at any step, and what a measurement tells of the lowest full one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from botorch.acquisition.max_value_entropy_search import qMultiFidelityLowerBoundMaxValueEntropy
from botorch.models import SingleTaskGP
from gpytorch.kernels import Kernel
from scipy.stats import norm

from search.bayes.fidelity_entropy import information, lowest_values
from search.bayes.fidelity_fit import Evidence, Hyperparameters, fit, missing
from search.bayes.fidelity_model import Model
from search.gp.fit import NUGGET, Points

AT = Hyperparameters(np.array([0.4, 0.7]), 0.8, 0.5, 0.3, 0.1, 1.5, 0.02)


def covariance(X, s, Z, t) -> np.ndarray:
    """The kernel, written down once more."""
    r = np.sqrt(np.square((X[:, None] - Z) / AT.lengths).sum(axis=2))
    C = (1 + math.sqrt(5) * r + 5 / 3 * r**2) * np.exp(-math.sqrt(5) * r)
    q, p = (
        (np.exp(-AT.decay * d) - math.exp(-AT.decay)) / (1 - math.exp(-AT.decay)) for d in (s, t)
    )
    return AT.end * C + np.outer(q, p) * (AT.common + AT.own * C)


def noise(s) -> np.ndarray:
    """Its variance at depths."""
    q = (np.exp(-AT.decay * s) - math.exp(-AT.decay)) / (1 - math.exp(-AT.decay))
    return AT.noise + AT.shallow * q**2 + NUGGET


def data(n: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.random((n, 2)), rng.choice([0.0, 1 / 3, 2 / 3, 1.0], n), rng.standard_normal(n)


def test_what_is_missing_goes_from_one_to_nothing():
    assert missing(np.array([0.0, 1.0]), 2.0)[0] == pytest.approx([1.0, 0.0])
    depths = np.linspace(0, 1, 5)
    assert missing(depths, 1e-4)[0] == pytest.approx(1 - depths, abs=1e-4)


def test_the_gradient_is_that_of_the_evidence():
    X, s, y = data()
    evidence = Evidence(Points(X, [0, 1]), s, y)
    theta = np.array([-0.8, 0.2, -0.3, 0.1, -1.2, -1.5, 0.4, -2.0])
    steps = 1e-6 * np.eye(len(theta))
    slopes = [(evidence(theta + h)[0] - evidence(theta - h)[0]) / 2e-6 for h in steps]
    assert evidence(theta)[1] == pytest.approx(slopes, rel=1e-6, abs=1e-6)


def test_beliefs_are_those_of_the_plain_formulas():
    X, s, y = data()
    new, depth = np.random.default_rng(4).random((5, 2)), 1 / 3
    belief = Model.of(AT, [0, 1], X, s, y).believe(new)
    K = covariance(X, s, X, s) + np.diag(noise(s))
    ones = np.ones(len(X))
    m = ones @ np.linalg.solve(K, y) / (ones @ np.linalg.solve(K, ones))
    full, part = (covariance(X, s, new, np.full(5, d)) for d in (1.0, depth))
    assert belief.mean == pytest.approx(m + full.T @ np.linalg.solve(K, y - m))
    q = float(AT.missing(np.array(depth)))
    shallow = m + part.T @ np.linalg.solve(K, y - m)
    assert belief.mean + q * belief.slope == pytest.approx(shallow)
    variance = AT.end - (full * np.linalg.solve(K, full)).sum(axis=0)
    assert belief.variance == pytest.approx(variance)
    prior = AT.end + q**2 * (AT.common + AT.own) + noise(np.array([depth]))[0]
    there = prior - (part * np.linalg.solve(K, part)).sum(axis=0)
    both = AT.end - (full * np.linalg.solve(K, part)).sum(axis=0)
    assert belief.correlation(depth) == pytest.approx(both**2 / (variance * there))


def test_a_pending_point_moves_no_mean_and_is_known():
    X, s, y = data()
    model = Model.of(AT, [0, 1], X, s, y)
    new = np.random.default_rng(5).random((3, 2))
    before = model.believe(new)
    after = model.pending(new[:1], np.array([1.0])).believe(new)
    assert after.mean == pytest.approx(before.mean, abs=1e-8)
    assert after.variance[0] < 0.5 * before.variance[0]


def test_a_fit_tells_what_is_missing_from_what_a_config_is_worth():
    rng = np.random.default_rng(6)
    x, s = rng.random((60, 1)), rng.choice([0.0, 1 / 3, 2 / 3, 1.0], 60)
    worth, rest = np.sin(5 * x[:, 0]), 3.0 * missing(s, 2.0)[0]
    at = fit(x, [0], s, worth + rest, 200)
    model = Model.of(at, [0], x, s, worth + rest)
    new = rng.random((20, 1))
    belief = model.believe(new)
    assert belief.mean == pytest.approx(np.sin(5 * new[:, 0]), abs=0.1)
    assert belief.slope == pytest.approx(3.0, abs=0.2)
    assert at.common > 10 * at.own


# What a measurement is worth


def test_information_is_botorchs_lower_bound_for_the_same_minima():
    """BoTorch's class, given the same model by way of a kernel of its own."""

    class Same(Kernel):
        def forward(self, x1, x2, diag=False, **_):
            shape = torch.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
            one, two = (x.expand(*shape, *x.shape[-2:]) for x in (x1, x2))
            flat = zip(
                one.reshape(-1, *one.shape[-2:]), two.reshape(-1, *two.shape[-2:]), strict=True
            )
            found = torch.stack(
                [
                    torch.from_numpy(
                        covariance(
                            a[:, :2].numpy(), a[:, 2].numpy(), b[:, :2].numpy(), b[:, 2].numpy()
                        )
                    )
                    for a, b in flat
                ]
            ).reshape(*shape, x1.shape[-2], x2.shape[-2])
            return found.diagonal(dim1=-2, dim2=-1) if diag else found

    X, s, y = data()
    own = Model.of(replace(AT, shallow=0.0), [0, 1], X, s, y)  # theirs has one noise for all
    inputs = torch.from_numpy(np.column_stack([X, s]))
    model = SingleTaskGP(
        inputs, torch.from_numpy(-y)[:, None], covar_module=Same(), outcome_transform=None
    ).double()
    model.likelihood.noise = AT.noise + NUGGET
    model.mean_module.constant = -own.mean
    model.eval()
    lowest = np.array([-2.5, -1.8])
    new, depth = np.random.default_rng(7).random((4, 2)), 1 / 3

    def project(inside):
        return torch.cat([inside[..., :2], torch.ones_like(inside[..., 2:])], dim=-1)

    with torch.no_grad():
        theirs = qMultiFidelityLowerBoundMaxValueEntropy(
            model, inputs, num_mv_samples=2, project=project
        )
        theirs.posterior_max_values = torch.from_numpy(-lowest)[:, None]
        asked = torch.from_numpy(np.column_stack([new, np.full(4, depth)]))[:, None]
        expected = theirs(asked).numpy() * (0.01 + depth)  # it divides by this cost unasked
    belief = own.believe(new)
    found = information(belief.mean, np.sqrt(belief.variance), belief.correlation(depth), lowest)
    assert found == pytest.approx(expected, rel=1e-4)


def test_information_grows_with_the_correlation_and_is_nothing_without():
    mean, sd = np.zeros(3), np.ones(3)
    found = information(mean, sd, np.array([0.0, 0.5, 0.99]), np.array([-1.0]))
    assert found[0] < 1e-12
    assert found[0] < found[1] < found[2]
    far = information(np.array([1e6]), np.ones(1), np.array([0.9]), np.array([0.0]))
    assert 0 < far[0] < 1e-12


def test_the_lowest_of_one_normal_value_has_its_quartiles():
    found = lowest_values(np.array([2.0]), np.array([3.0]))
    middle = np.interp(0.5, (np.arange(10) + 0.5) / 10, found)
    assert middle == pytest.approx(2.0, abs=0.1)
    assert np.all(np.diff(found) > 0)
    many = lowest_values(np.zeros(500), np.ones(500))
    exact = norm.ppf(1 - (1 - (np.arange(10) + 0.5) / 10) ** (1 / 500))
    assert many == pytest.approx(exact, abs=0.15)
