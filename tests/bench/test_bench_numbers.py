"""The arithmetic of the benchmarks: what they make of samples, and the problems they run."""

import math

import pytest

from bench.parts.compare import paired
from bench.parts.functions import MINIMUM, NAMES, hartmann, regret
from bench.parts.results import quantile, summary, table
from bench.parts.tuning import SPACE, STEPS, filling, level_now, loss_at
from bench.parts.windows import Ran, Spent, call_milliseconds, rate

# Where Hartmann's function of six variables has its minimum.
LOWEST = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)


def test_quantile_is_a_sample_that_enough_samples_do_not_exceed():
    samples = list(range(100, 0, -1))
    assert quantile(samples, 0.5) == 50
    assert quantile(samples, 0.99) == 99
    assert quantile(samples, 1.0) == 100
    assert quantile([7.0], 0.01) == 7.0
    with pytest.raises(ValueError, match="at least one"):
        quantile([], 0.5)


def test_summary_says_median_and_spread():
    assert summary([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0, "n": 3}


def test_table_aligns_columns():
    assert table([["a", "bb"], ["100", "2"]]).splitlines() == ["  a  bb", "-------", "100   2"]


def test_rate_adds_what_each_client_did_in_its_own_time():
    ran = [Ran(trials=4, seconds=2.0, pruned=0, spent=Spent()), Ran(3, 1.0, 0, Spent())]
    assert rate(ran) == 5.0


def test_call_times_are_means_over_all_clients():
    one = Spent(seconds={"ask": 0.1}, calls={"ask": 1})
    other = Spent(seconds={"ask": 0.2, "tell": 0.01}, calls={"ask": 2, "tell": 1})
    ran = [Ran(1, 1.0, 0, one), Ran(1, 1.0, 0, other)]
    assert call_milliseconds(ran) == {"ask": 100.0, "tell": 10.0}


def test_paired_comparison_sees_a_difference_on_every_seed():
    theirs = [0.0, 10.0, -5.0, 3.0, 8.0]
    found = paired([value - 1 for value in theirs], theirs)
    assert (found["difference"], found["low"], found["high"]) == (-1.0, -1.0, -1.0)
    assert (found["wins"], found["of"]) == (5.0, 5)
    assert paired(theirs, theirs)["wins"] == 2.5


def test_hartmann_has_its_minimum_where_it_is_known_to_be():
    best = dict(zip(NAMES, LOWEST, strict=True))
    assert hartmann(best) == pytest.approx(MINIMUM, abs=1e-4)
    for name in NAMES:
        assert hartmann({**best, name: best[name] + 0.05}) > hartmann(best)
    assert regret(MINIMUM + 0.5) == pytest.approx(0.5)
    assert regret(MINIMUM - 1) > 0


def test_filling_is_repeatable_and_within_the_space():
    trials = list(filling(50, seed=3))
    assert trials == list(filling(50, seed=3))
    assert trials != list(filling(50, seed=4))
    for trial in trials:
        assert list(trial.config) == [parameter.name for parameter in SPACE]
        assert 1e-5 <= trial.config["lr"] <= 1e-1
        assert trial.config["width"] in range(16, 513)
        assert len(trial.losses) == STEPS


def test_a_new_trial_is_better_at_every_step_than_all_that_a_study_is_filled_with():
    assert level_now(epoch=0.0) < 1
    for trial in filling(20, seed=1):
        assert all(loss_at(1.0, step) < loss for step, loss in enumerate(trial.losses))


def test_later_trials_are_better(monkeypatch):
    monkeypatch.setattr("time.time", iter([1000.0, 1000.5]).__next__)
    earlier, later = level_now(epoch=990.0), level_now(epoch=990.0)
    assert 0 < later < earlier
    assert math.isclose(earlier, 1 / 11)
