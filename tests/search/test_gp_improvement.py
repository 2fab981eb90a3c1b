"""Expected improvement against its closed form, BoTorch, quadrature and asymptotics."""

import math

import numpy as np
import pytest
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.models import SingleTaskGP
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from search.gp.improvement import FAR, NEAR, log_expected_improvement, log_h


def test_it_is_the_closed_form_where_that_can_be_computed():
    mean, sd = np.linspace(-3, 6, 50), np.linspace(0.2, 2, 50)
    z = (0.5 - mean) / sd
    closed = sd * (norm.pdf(z) + z * norm.cdf(z))
    found = log_expected_improvement(mean, sd, 0.5)
    near = z > -5
    np.testing.assert_allclose(found[near], np.log(closed[near]), rtol=1e-9)


@pytest.mark.parametrize(("mean", "sd", "best"), [(0.3, 1.2, 0.0), (2.0, 0.5, 0.1), (-1, 0.1, 0)])
def test_it_is_the_integral_of_the_improvement(mean, sd, best):
    def promised(f):
        return (best - f) * norm.pdf(f, mean, sd)

    whole, _ = quad(promised, -10, best, epsabs=0, limit=500, points=[mean])
    found = log_expected_improvement(np.array([mean]), np.array([sd]), best)
    assert found[0] == pytest.approx(math.log(whole), abs=1e-6)


def test_it_is_botorchs_in_the_far_tails_too():
    X = torch.tensor([[0.0], [1.0]], dtype=torch.double)
    model = SingleTaskGP(
        X, torch.tensor([[-1.0], [1.0]], dtype=torch.double) / math.sqrt(2), outcome_transform=None
    )
    model.eval()
    new = torch.linspace(0, 1, 9, dtype=torch.double).reshape(-1, 1, 1)
    with torch.no_grad():
        posterior = model.posterior(new)
        mean, sd = posterior.mean.flatten().numpy(), posterior.variance.sqrt().flatten().numpy()
        for u in (3.0, 0.0, -0.9, -1.1, -5.0, -50.0, -90.0, -200.0, -1e4):
            best = (mean + u * sd)[4]
            theirs = LogExpectedImprovement(model, best_f=torch.tensor(best), maximize=False)(
                new
            ).numpy()
            ours = log_expected_improvement(mean, sd, best)
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_the_far_tail_is_the_continued_fraction():
    # h(z) = phi(z) (1 - |z| m(|z|)), with Mills' ratio m(x) = 1/(x + 1/(x + 2/(x + 3/(x + ...)))).
    for z in (1.5, 5.0, 50.0, 99.0, 101.0, 1e3):
        tail = z
        for k in range(400, 1, -1):
            tail = z + k / tail
        # 1 - z / (z + 1/tail) = 1 / (z tail + 1)
        expected = norm.logpdf(z) - math.log1p(z * tail)
        assert log_h(np.array([-z]))[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seam", [NEAR, FAR])
def test_the_formulas_meet(seam):
    sides = log_h(np.array([seam * (1 + 1e-9), seam * (1 - 1e-9)]))
    # The slope of ln h is at most |z| + 1 there.
    assert abs(sides[1] - sides[0]) < 4e-9 * abs(seam) * (abs(seam) + 1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_it_is_finite_and_grows_with_z(values):
    z = np.sort(np.array(values))
    found = log_h(z)
    assert np.all(np.isfinite(found))
    assert np.all(np.diff(found) >= -1e-9 * np.abs(found[1:]))


def test_more_spread_and_a_lower_mean_promise_more():
    sd = np.array([0.1, 0.5, 1.0])
    assert np.all(np.diff(log_expected_improvement(np.ones(3), sd, 0.0)) > 0)
    mean = np.array([2.0, 1.0, 0.0, -1.0])
    assert np.all(np.diff(log_expected_improvement(mean, np.full(4, 0.3), 0.0)) > 0)
