"""How many suggestions are made, and when."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.registry import SEARCHERS
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.cmaes import CMAES
from search.searchers.evolution import Evolution
from search.searchers.forest import Forest
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.nsga2 import NSGA2
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.searchers.tpe import TPE
from search.searchers.turbo import TuRBO
from search.space import SearchSpace
from search.surrogates.saas import Saas
from service.suggester.models import QUICK, model_from, modules
from service.suggester.plan import LARGEST_BATCH, Pace, plan
from service.suggester.process import (
    BUSY_LOOK_SECONDS,
    IDLE_LOOK_SECONDS,
    choose,
    look_seconds,
)
from service.suggester.survey import Standing

SPACE = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)])
ONE = Problem(space=SPACE, objectives=[Objective(metric="loss")])
TWO = Problem(space=SPACE, objectives=[Objective(metric="loss"), Objective(metric="size")])
RATE = FloatParameter(name="rate", low=0, high=1)
IN_CONTEXT = Problem(space=SPACE, objectives=TWO.objectives, context=[RATE])


def standing(**changes: object) -> Standing:
    values: dict[str, object] = {
        "study_id": 1, "spec_version": 1, "left": None, "next_number": 20, "running": 4,
        "finished": 16, "imported": 0, "version": 1, "buffered": 8, "seen": 16, "demands": 0,
        "waited": 0.0, "busy": False, "exhausted": False, "fit_seconds": 2.0, "since_fit": 10.0,
        "trial_seconds": 3600.0,
    }  # fmt: skip
    return Standing(**{**values, **changes})  # type: ignore[arg-type]


def count(case: Standing, rate: float = 0.0, *, learns: bool = True, instant: bool = False) -> int:
    found = plan(case, rate, learns=learns, instant=instant)
    return 0 if found is None else found.count


def test_a_full_and_fresh_buffer_is_left_alone() -> None:
    assert count(standing()) == 0


def test_the_buffer_holds_one_for_each_running_trial_and_one_at_least() -> None:
    for running, least in ((12, 12), (0, 2)):
        assert count(standing(buffered=0, seen=None, running=running)) == least
    for running, least in ((12, 12), (0, 1)):
        assert count(standing(buffered=0, seen=None, running=running), instant=True) == least


def test_whoever_waits_is_counted_on_top() -> None:
    waiting = standing(buffered=0, seen=None, running=0, demands=64)
    assert count(waiting, instant=True) == 64 + 1
    assert count(waiting) == 64 + 2


def test_a_buffer_that_is_half_empty_is_filled_up() -> None:
    assert count(standing(running=8, buffered=5)) == 0
    assert count(standing(running=8, buffered=4)) == 4


def test_a_buffer_that_would_not_last_until_the_next_look_is_filled_up_sooner() -> None:
    # At three a second more than five are taken while the next fit runs.
    case = standing(running=4, buffered=5, fit_seconds=2.0)
    assert count(case, rate=1.0) == 0
    assert count(case, rate=3.0) > 0


def test_without_a_model_it_is_filled_for_seconds_and_not_at_every_look() -> None:
    quick = {"learns": False, "instant": True}
    fast = {"running": 8, "finished": 10_000, "next_number": 10_008, "trial_seconds": 0.1}
    assert count(standing(**fast, buffered=0, seen=None), rate=60.0, **quick) >= 2 * 60
    assert count(standing(**fast, buffered=100), rate=60.0, **quick) == 0
    assert count(standing(**fast, buffered=10), rate=60.0, **quick) >= 60


def test_it_holds_no_more_than_will_be_taken() -> None:
    # Four workers at half a second a trial, fits of 0.2 s: three are taken until the next batch,
    # or four or five where they come unevenly.
    quick = standing(buffered=0, seen=None, fit_seconds=0.2, trial_seconds=0.5)
    assert count(quick, rate=8.0) == 6


def test_where_asks_come_fast_the_buffer_lasts_while_a_fit_runs() -> None:
    wanted = count(standing(buffered=0, seen=None), rate=8.0)
    assert wanted >= 8 * 2.0
    assert count(standing(buffered=0, seen=None, fit_seconds=0.0), rate=8.0) < wanted


def test_workers_that_wait_for_fits_count_as_fast_as_their_trials_are() -> None:
    # Four trials of half a second each: eight a second, though two a second were seen.
    hungry = standing(buffered=0, seen=None, running=0, demands=4, trial_seconds=0.5)
    assert count(hungry, rate=2.0) >= 4 + 8 * 2.0
    assert count(hungry, rate=2.0, instant=True) < count(hungry, rate=2.0)


def test_the_first_fit_makes_a_few_more_while_nobody_knows_how_long_trials_run() -> None:
    first = standing(buffered=0, seen=None, running=0, demands=4, trial_seconds=None)
    assert count(first) > 2 * 4
    assert count(first, instant=True) == 5


def test_the_budget_bounds_everything() -> None:
    assert count(standing(left=2, buffered=0, seen=None, demands=64), rate=100.0) == 2
    assert count(standing(left=2, buffered=2)) == 0
    assert count(standing(left=0, buffered=0, seen=None, demands=5)) == 0


def test_a_buffer_that_is_too_old_is_replaced_except_what_will_be_taken_meanwhile() -> None:
    old = standing(finished=17)
    found = plan(old, 1.0, learns=True, instant=False)
    assert found is not None
    assert found.refresh
    assert found.soon_taken == 2
    assert plan(old, 1.0, learns=False, instant=False) is None


@pytest.mark.parametrize(("finished", "seen", "stale"), [(200, 191, False), (200, 190, True)])
def test_how_old_depends_on_how_much_is_known(finished: int, seen: int, stale: bool) -> None:
    case = standing(finished=finished, next_number=finished + 4, seen=seen)
    assert (plan(case, 0.0, learns=True, instant=False) is not None) is stale


def test_each_result_counts_where_fits_take_little_of_the_time() -> None:
    one = {"finished": 200, "next_number": 204, "seen": 199, "fit_seconds": 0.2}
    assert count(standing(**one, since_fit=3.0)) == 0
    assert count(standing(**one, since_fit=4.1)) > 0
    assert count(standing(**{**one, "seen": 200}, since_fit=60.0)) == 0


def test_no_fit_begins_sooner_after_the_last_than_that_one_took() -> None:
    assert count(standing(finished=18, fit_seconds=5.0, since_fit=4.0)) == 0
    assert count(standing(finished=18, fit_seconds=5.0, since_fit=6.0)) > 0


def test_nothing_is_computed_twice_or_where_nothing_is_left() -> None:
    assert count(standing(buffered=0, seen=None, demands=9, busy=True)) == 0
    assert count(standing(buffered=0, seen=None, demands=9, exhausted=True)) == 0


@given(
    running=st.integers(0, 10_000),
    demands=st.integers(0, 10_000),
    buffered=st.integers(0, 1_000),
    left=st.none() | st.integers(0, 1_000),
    rate=st.floats(0, 1_000),
    fit=st.floats(0, 30),
    seen=st.none() | st.integers(0, 100),
)
def test_a_batch_is_never_larger_than_it_may_be(
    running: int,
    demands: int,
    buffered: int,
    left: int | None,
    rate: float,
    fit: float,
    seen: int | None,
) -> None:
    case = standing(
        running=running, demands=demands, buffered=buffered, left=left, fit_seconds=fit, seen=seen
    )
    found = plan(case, rate, learns=True, instant=False)
    if found is None:
        return
    assert 1 <= found.count <= LARGEST_BATCH
    kept = found.soon_taken if found.refresh else buffered
    if left is not None:
        assert kept + found.count <= max(left, buffered)


# One worker at half a second a trial, after 60 trials; its latest result is seen.
ALONE = {"running": 1, "finished": 60, "next_number": 61, "seen": 60, "trial_seconds": 0.5,
         "together": 0.98}  # fmt: skip


def test_one_worker_has_one_suggestion_where_each_result_brings_a_new_one() -> None:
    quick = {**ALONE, "fit_seconds": 0.02}
    assert count(standing(**quick, buffered=0), rate=2.0) == 1
    assert count(standing(**quick, buffered=1), rate=2.0) == 0
    second = standing(**{**quick, "running": 2}, buffered=0)
    assert count(second, rate=2.0) == 3
    assert count(standing(**{**quick, "together": 3.9}, buffered=0), rate=2.0) == 2


def test_one_worker_takes_two_of_each_batch_where_a_fit_takes_much_of_a_trial() -> None:
    slow = {**ALONE, "fit_seconds": 0.1, "since_fit": 0.6}
    assert count(standing(**slow, buffered=0), rate=2.0) == 3
    assert count(standing(**{**slow, "seen": 59}, buffered=2), rate=2.0) == 0
    # The third was there in case that the next batch came late, and goes with it.
    found = plan(standing(**{**slow, "seen": 58}, buffered=1), 2.0, learns=True, instant=False)
    assert found is not None
    assert (found.count, found.refresh, found.soon_taken) == (3, True, 0)


def test_a_single_workers_buffer_is_not_made_again_for_nothing() -> None:
    last = {**ALONE, "fit_seconds": 0.5, "since_fit": 9.0, "left": 1}
    assert count(standing(**last, buffered=1), rate=2.0) == 0


@given(
    finished=st.integers(1, 500),
    fit=st.floats(0.001, 10),
    trial=st.floats(0.01, 1000),
    left=st.none() | st.integers(0, 9),
    rate=st.floats(0, 5),
)
def test_what_one_worker_is_given_lasts_until_there_are_news(
    finished: int, fit: float, trial: float, left: int | None, rate: float
) -> None:
    before = standing(
        running=1, finished=finished, next_number=finished + 1, seen=None, fit_seconds=fit,
        trial_seconds=trial, left=left, together=0.9, buffered=0,
    )  # fmt: skip
    made = count(before, rate)
    after = replace(before, buffered=made, seen=finished)
    assert not made or count(after, rate) == 0


def test_how_often_a_study_is_looked_at_follows_its_trials_where_it_has_one_worker() -> None:
    assert look_seconds(standing()) == BUSY_LOOK_SECONDS
    assert look_seconds(standing(**ALONE)) == 0.2
    assert look_seconds(standing(**{**ALONE, "trial_seconds": 0.01})) == BUSY_LOOK_SECONDS
    assert look_seconds(standing(**{**ALONE, "trial_seconds": 3600.0})) == IDLE_LOOK_SECONDS


def test_only_what_workers_asked_for_counts_as_pace() -> None:
    # 500 trials were imported and 60 are queued; four run, and nine have ended.
    case = standing(next_number=573, running=4, finished=509, imported=500)
    assert case.begun == 13


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    for second in range(60):
        pace.note(float(second), 0 if second < 40 else (second - 40) * 8)
    assert 7 < pace.rate(59.0) <= 8
    assert Pace().rate(1.0) == 0
    lost = Pace()
    for second, asked in enumerate((20, 12)):
        lost.note(float(second), asked)
    assert lost.rate(1.0) == 0
    quick = Pace()
    quick.note(0.0, 0)
    quick.note(0.01, 4)
    assert quick.rate(0.01) == 4  # not 400 a second


def test_which_searchers_fit_a_model_and_from_when() -> None:
    phased = Phased(first=Sobol(), then=BoTorch(), after=16)
    assert [model_from(s, ONE) for s in (Random(), Sobol(), Grid())] == [None] * 3
    assert model_from(BoTorch(), ONE) == model_from(GP(), ONE) == 0
    assert model_from(phased, ONE) == 16
    assert model_from(Phased(first=Sobol(), then=Random(), after=16), ONE) is None
    assert model_from(AutoSearcher(), ONE) == 10
    assert model_from(AutoSearcher(), TWO) == 10
    assert [model_from(AutoSearcher(), ONE, budget) for budget in (12, 60)] == [4, 10]
    assert model_from(AutoSearcher(), IN_CONTEXT) is None
    assert [model_from(s, ONE) for s in (CMAES(), Evolution(), NSGA2(), TuRBO())] == [0] * 4
    assert [model_from(s, ONE) for s in (Forest(initial=12), TPE())] == [12, 10]
    assert set(SEARCHERS) == {
        "auto", "botorch", "cmaes", "evolution", "forest", "gp", "grid", "nsga2", "phased",
        "random", "sobol", "tpe", "turbo",
    }  # fmt: skip


def test_only_what_its_searcher_fits_with_is_loaded() -> None:
    ways = ("suggest", "general", "transfer", "fidelity")
    torch = tuple(f"search.bayes.{way}" for way in ways)
    assert modules(AutoSearcher(), TWO) == (*torch, "search.evolution.nsga2", *QUICK)
    scipy = ("search.gp.suggest",)
    assert modules(BoTorch(), ONE) == torch
    assert modules(GP(), ONE) == modules(AutoSearcher(), ONE) == scipy
    assert modules(TuRBO(), ONE) == ("search.turbo.suggest",)
    assert modules(BoTorch(surrogate=Saas()), ONE) == ("search.surrogates.suggest",)
    assert modules(Phased(first=Sobol(), then=GP(), after=3), ONE) == scipy
    assert modules(CMAES(), ONE) == ("search.cma.suggest",)
    assert modules(Evolution(), ONE)[0] == "search.evolution.ageing"
    assert modules(NSGA2(), ONE)[0] == "search.evolution.nsga2"
    assert modules(Forest(), ONE) == ("search.forest.suggest", *QUICK)
    assert modules(TPE(), ONE) == ("search.tpe.suggest", *QUICK)
    assert modules(Phased(first=GP(), then=BoTorch(), after=3), ONE) == (*scipy, *torch)
    assert modules(Phased(first=Sobol(), then=Random(), after=3), ONE) == modules(Grid(), ONE) == ()


def test_a_batch_does_not_cross_into_the_models_trials() -> None:
    early = standing(next_number=6, buffered=0, seen=None, finished=2, demands=64)
    found, model = choose(early, 0.0, 10)
    assert found is not None
    assert (found.count, model) == (4, False)
    rest = standing(next_number=6, buffered=4, seen=2, finished=2, demands=64)
    found, model = choose(rest, 0.0, 10)
    assert found is not None
    assert (found.count, model) == (64 + early.running - 4, True)
    assert choose(standing(next_number=6, buffered=6), 0.0, 10) == (None, True)
