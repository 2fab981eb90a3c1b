"""What every surrogate's beliefs must add up to, and the acquisition that is made of them."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import cholesky
from scipy.stats import norm

from search.candidates import Candidates
from search.encoding import Cube
from search.surrogates.acquire import choose, contenders, log_improvement
from search.surrogates.climbing import climb
from search.surrogates.gaussian import Gaussian, Mixture
from search.surrogates.levelled import levelled
from search.surrogates.sparse import ArdCovariance
from search.surrogates.surrogate import Draws
from tests.contracts.spaces import space


def rng():
    return np.random.default_rng(0)


def gaussian(n=6, scale=1.0, noise=0.01):
    X = rng().random((n, 2))
    y = np.sin(5 * X[:, 0]) - X[:, 1]
    return Gaussian.of(ArdCovariance(np.array([2.0, 1.0]), scale), X, y, noise, trend=0.3)


def test_a_posterior_is_that_of_the_joint_normal_distribution():
    model, A = gaussian(), rng().random((4, 2)) + 0.1
    K = model.covariance.cross(model.X, model.X) + 0.01 * np.eye(6)
    k = model.covariance.cross(model.X, A)
    y = np.sin(5 * model.X[:, 0]) - model.X[:, 1]
    mean, sd = model.moments(A)
    np.testing.assert_allclose(mean, 0.3 + k.T @ np.linalg.solve(K, y - 0.3))
    np.testing.assert_allclose(sd**2, 1 - np.diag(k.T @ np.linalg.solve(K, k)))


@pytest.mark.parametrize("model", [gaussian(), Mixture([gaussian(), gaussian(scale=2.0)])])
def test_draws_have_the_moments_of_the_model(model):
    A, B = rng().random((3, 2)), rng().random((5, 2)) + 0.2
    draws = model.anchored(A, 40_000, rng())
    mean, sd = model.moments(A)
    np.testing.assert_allclose(draws.values.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(draws.values.std(axis=0), sd, rtol=0.03)
    # The law of total variance, at points that are no anchors.
    means, sds = draws.believe(B)
    mean, sd = model.moments(B)
    np.testing.assert_allclose(means.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(means.var(axis=0) + (sds**2).mean(axis=0), sd**2, rtol=0.04)


def test_at_an_anchor_a_draw_is_what_it_is():
    draws = gaussian().anchored(A := rng().random((3, 2)), 8, rng())
    means, sds = draws.believe(A)
    np.testing.assert_allclose(means, draws.values, atol=1e-4)
    assert sds.max() < 1e-3


class Fixed(Draws):
    """Two draws with given moments wherever one looks."""

    values = np.array([[0.2], [-0.1]])

    def believe(self, X):
        mean, sd = np.array([[0.5], [-0.3]]), np.array([[0.4], [0.2]])
        return np.repeat(mean, len(X), axis=1), np.repeat(sd, len(X), axis=1)


def test_the_acquisition_is_the_mean_of_expected_improvements():
    def gain(best, mean, sd):
        return quad(lambda v: (best - v) * norm.pdf(v, mean, sd), -10, best)[0]

    expected = 0.5 * (gain(0.2, 0.5, 0.4) + gain(-0.1, -0.3, 0.2))
    found = log_improvement(Fixed(), np.array([0.2, -0.1]), np.zeros((3, 1)))
    np.testing.assert_allclose(found, [math.log(expected)] * 3, rtol=1e-7)


def test_the_best_observed_points_stand_for_all():
    X = np.linspace(0, 1, 40)[:, None] * np.ones(2)
    y = (X[:, 0] - 0.3) ** 2 * 20
    model = Gaussian.of(ArdCovariance(np.array([3.0, 3.0]), 1.0), X, y, 1e-3)
    kept = contenders(model, X, rng())
    assert 0 < len(kept) < 15
    assert np.abs(kept[:, 0] - 0.3).max() < 0.2


def test_pending_points_and_those_of_the_batch_keep_their_distance():
    """Five points of a batch, and one that is pending where the best would be, are all apart."""
    cube = Cube(space("float"))
    X = np.linspace(0, 1, 6)[:, None]
    model = Gaussian.of(ArdCovariance(np.array([4.0]), 1.0), X, np.cos(6 * X[:, 0]), 1e-4)

    def batch(pending, count):
        candidates = Candidates(cube, X, rng())
        picks = choose(model, candidates, observed=X, pending=pending, count=count, effort=400)
        return np.array([pick.row[0] for pick in picks])

    (alone,) = batch(np.empty((0, 1)), 1)
    (beside,) = batch(np.array([[alone]]), 1)
    assert abs(alone - beside) > 0.02
    together = np.sort(batch(np.empty((0, 1)), 5))
    assert np.diff(together).min() > 0.01


def test_a_process_about_its_own_mean_is_factored_once(monkeypatch):
    """The mean is that of generalised least squares, here by plain linear algebra."""
    X, calls = rng().random((9, 2)), []
    y = 4.0 + np.sin(5 * X[:, 0])
    covariance = ArdCovariance(np.array([2.0, 1.0]), 1.5)

    def counted(*arguments, **named):
        calls.append(1)
        return cholesky(*arguments, **named)

    monkeypatch.setattr("search.surrogates.gaussian.cholesky", counted)
    model = levelled(covariance, X, y, 0.02)
    assert len(calls) == 1
    inverse = np.linalg.inv(covariance.cross(X, X) + 0.02 * np.eye(9))
    m = inverse.sum(axis=0) @ y / inverse.sum()
    A = rng().random((4, 2)) + 0.1
    expected = m + covariance.cross(A, X) @ inverse @ (y - m)
    np.testing.assert_allclose(model.moments(A)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("bound", [9, 12, 20, 60])
def test_a_climb_evaluates_no_more_often_than_it_may(bound):
    """On a function that line searches find hard: steep, curved, and with a kink."""
    calls, scales = [], np.array([1.0, 30.0, 300.0, 0.1])

    def hard(theta):
        calls.append(1)
        bowl = scales * (theta - 0.7)
        wave = 5 * np.sin(7 * theta)
        slope = scales * bowl + 35 * np.cos(7 * theta) + np.sign(theta)
        return float(0.5 * bowl @ bowl + wave.sum() + np.abs(theta).sum()), slope

    starts = np.random.default_rng(0).uniform(-3, 3, (60, 4))
    most = 0
    for start in starts:
        calls.clear()
        value, theta = climb(hard, start, [(-4, 4)] * 4, bound)
        most = max(most, len(calls))
        assert value <= hard(start)[0]
        assert hard(theta)[0] == pytest.approx(value)
    assert bound / 2 - 3 < most <= bound
