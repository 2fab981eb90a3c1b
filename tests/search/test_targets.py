"""Losses made fit for a Gaussian process, against values computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from search.targets import FENCE, fenced, half_ranked, targets, telling

losses = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)
warps = st.sampled_from([half_ranked, fenced])


@given(losses, warps)
def test_targets_are_standard_and_keep_the_order(values, warp):
    aims = targets(values, warp)
    assert np.all(np.isfinite(aims.y))
    assert abs(aims.y.mean()) < 1e-6
    assert np.std(aims.y) == pytest.approx(1, abs=1e-6) or not aims.y.any()
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(aims.y[order]) >= -1e-9)


@given(losses)
def test_predictions_at_what_was_seen_are_the_losses(values):
    aims = targets(values)
    if aims.y.any():
        spread = max(values) - min(values)
        for y, loss in zip(aims.y, values, strict=True):
            assert aims.loss(float(y)) == pytest.approx(loss, abs=1e-6 * spread)


def test_the_worse_half_is_pulled_in_to_a_normal_tail():
    warped = half_ranked(np.array([1.0, 2.0, 3.0, 4.0, 1e12]))
    # Median 3; the good half deviates by 2, 1, 0, so s = sqrt(5/3); ranks 3 and 4 of 5.
    spread = math.sqrt(5 / 3)
    expected = [3 + spread * norm.ppf(0.5 + 0.5 * (k - 1.5) / 3.5) for k in (3, 4)]
    np.testing.assert_allclose(warped, [1, 2, 3, *expected])


def test_predictions_below_the_best_continue_its_scale():
    aims = targets([1.0, 2.0, 3.0, 4.0, 1e12])
    best = float(aims.y.min())
    assert aims.loss(best - 1 / aims.scale) == pytest.approx(0.0)


def test_plain_targets_are_standard_scores():
    # Mean 4 and standard deviation 2 of 2, 2, 4, 4, 4, 4, 4, 8: deviations -2, -2, 0 x5, 4.
    values = [2.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 8.0]
    aims = targets(values, fenced)
    spread = math.sqrt((4 + 4 + 16) / 8)
    assert aims.centre == 4
    assert aims.scale == pytest.approx(spread)
    np.testing.assert_allclose(aims.y, (np.array(values) - 4) / spread)
    assert aims.loss(aims.y[1]) == pytest.approx(2.0)


def test_an_absurd_loss_is_brought_to_the_fence_and_no_other_is_touched():
    # Median 3, the good half deviates by 2, 1, 0.
    fence = 3 + FENCE * math.sqrt(5 / 3)
    np.testing.assert_allclose(
        fenced(np.array([1.0, 2.0, 3.0, fence - 1, 1e12])), [1, 2, 3, fence - 1, fence]
    )
    np.testing.assert_array_equal(fenced(np.array([1.0, 1.0, 1.0, 1e12])), [1, 1, 1, 1e12])
    np.testing.assert_array_equal(fenced(np.array([-1e12, 2.0, 3.0, 4.0])), [-1e12, 2, 3, 4])


def test_the_fit_learns_from_the_best_third_and_a_draw_of_the_rest():
    values = list(np.random.default_rng(0).random(1000))
    places = telling(values, 300, np.random.default_rng(1))
    assert len(set(places)) == 300
    assert set(np.argsort(values)[:100]) <= set(places)
    assert telling(values[:20], 300, np.random.default_rng(1)) == list(range(20))
