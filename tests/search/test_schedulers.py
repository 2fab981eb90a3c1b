"""Every scheduler against the contract, and what is particular to each."""

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from search.errors import InvalidSettings
from search.registry import SCHEDULERS, SchedulerSettings
from search.scheduler import Continue, Stop
from search.schedulers.asha import ASHA
from search.schedulers.auto import AutoScheduler
from search.schedulers.full import Full
from search.schedulers.median import Median
from tests.contracts.schedulers import SchedulerContract, standings


class TestFull(SchedulerContract):
    scheduler = Full()
    judges = False


class TestMedian(SchedulerContract):
    scheduler = Median(warmup_steps=3, interval=2, min_trials=2)


class TestASHA(SchedulerContract):
    scheduler = ASHA(max_steps=81)


class TestAutoScheduler(SchedulerContract):
    scheduler = AutoScheduler()


def test_every_scheduler_is_registered_under_its_kind():
    assert set(SCHEDULERS) == {"asha", "auto", "full", "median"}
    for kind, scheduler in SCHEDULERS.items():
        assert scheduler.kind_of() == kind


def test_full_runs_to_the_end():
    assert Full().decide(standings(3, [math.inf, 1.0]), 0) == Continue(until=None)


def test_median_stops_what_is_worse_than_half_of_the_others():
    table = standings(4, [0.42, 0.1, 0.2, 0.31, 0.35, 0.5])
    stop = Median().decide(table, 0)
    assert stop == Stop(reason="loss 0.42 at step 4 is worse than the median 0.31 of 5 trials")
    assert Median().decide(table, 3) == Continue(until=5)
    assert isinstance(Median().decide(table, 4), Stop)


def test_median_lets_a_trial_at_the_median_run():
    assert isinstance(Median(min_trials=2).decide(standings(4, [0.3, 0.2, 0.4]), 0), Continue)


def test_median_waits_for_enough_trials():
    losses = [9.0, 0.1, 0.2, 0.3, 0.4]
    assert Median(min_trials=5).decide(standings(4, losses), 0) == Continue(until=5)
    assert isinstance(Median(min_trials=4).decide(standings(4, losses), 0), Stop)


def test_median_judges_after_the_warm_up_at_every_interval():
    rule = Median(warmup_steps=10, interval=5)
    assert rule.first_step(0) == 10
    untils = [rule.decide(standings(step, [0.1]), 0).until for step in (10, 12, 15, 999)]
    assert untils == [15, 15, 20, 1000]


def test_auto_is_the_median_rule_with_its_defaults():
    table = standings(4, [0.42, 0.1, 0.2, 0.31, 0.35, 0.5])
    for number in range(6):
        assert AutoScheduler().decide(table, number) == Median().decide(table, number)
    assert AutoScheduler().first_step(0) == Median().first_step(0) == 4


def test_asha_has_rungs_below_the_full_run():
    assert ASHA(min_steps=1, max_steps=81, reduction_factor=3).rungs() == [1, 3, 9, 27]
    assert ASHA(min_steps=1, max_steps=82, reduction_factor=3).rungs() == [1, 3, 9, 27, 81]
    assert ASHA(min_steps=2, max_steps=3, reduction_factor=4).rungs() == [2]


def test_asha_keeps_three_of_nine():
    rule = ASHA(max_steps=81, reduction_factor=3)
    losses = [0.9, 0.1, 0.5, 0.3, 0.8, 0.2, 0.7, 0.4, 0.6]
    decisions = [rule.decide(standings(3, losses), number) for number in range(9)]
    kept = [number for number, d in enumerate(decisions) if isinstance(d, Continue)]
    assert sorted(losses[number] for number in kept) == [0.1, 0.2, 0.3]
    assert all(decisions[number].until == 9 for number in kept)
    assert decisions[0].reason == "loss 0.9 at step 3 is not among the best 3 of 9 trials"


def test_asha_by_hand():
    """Six arrivals at a rung, factor 3: two pass unjudged, then only the best third does."""
    rule, losses = ASHA(max_steps=9, reduction_factor=3), [0.5, 0.9, 0.6, 0.4, 0.45, 0.41]
    passed = []
    for number in range(len(losses)):
        decision = rule.decide(standings(1, losses[: number + 1]), number)
        passed.append(isinstance(decision, Continue))
    assert passed == [True, True, False, True, False, True]


def test_asha_lets_ties_and_the_last_rung_run_on():
    rule = ASHA(max_steps=9, reduction_factor=3)
    assert rule.decide(standings(1, [0.5] * 9), 4) == Continue(until=3)
    assert rule.decide(standings(3, [0.1, 0.5, 0.6]), 0) == Continue(until=None)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "asha"},
        {"kind": "asha", "max_steps": 1},
        {"kind": "asha", "max_steps": 9, "reduction_factor": 1},
        {"kind": "asha", "max_steps": 9, "min_steps": 0},
        {"kind": "median", "interval": 0},
        {"kind": "median", "min_trials": 0},
        {"kind": "median", "warmup_steps": -1},
        {"kind": "median", "warmup_steps": "4"},
        {"kind": "auto", "interval": 2},
        {"kind": "sobol"},
    ],
)
def test_settings_out_of_range_are_refused_on_the_wire(settings):
    with pytest.raises(ValidationError):
        TypeAdapter(SchedulerSettings).validate_python(settings)


def test_settings_out_of_range_say_what_was_expected():
    with pytest.raises(InvalidSettings, match="interval: expected 1 to"):
        Median(interval=0)
