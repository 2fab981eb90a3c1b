"""The trust region's state machine, as a table, and its replay from a history."""

import math

import pytest

from search.outcomes import lessons
from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.space import SearchSpace
from search.trial import Trial, TrialState
from search.turbo.region import FIRST, LONGEST, Region, Rules
from search.turbo.replay import replay

RULES = Rules(design=2, parameters=6)
LONG, SHORT = 1.0, 2.0**-7


def region(**changes):
    return Region(**{"trials": 2, "best": 1.0, **changes})


@pytest.mark.parametrize(
    ("before", "losses", "pending", "after"),
    [
        # The design says where the best is, and nothing else.
        (Region(), [3.0], 0, Region(trials=1, best=3.0)),
        (Region(trials=1, best=3.0), [1.0], 0, Region(trials=2, best=1.0)),
        # A success is an improvement by more than a thousandth.
        (region(), [0.5], 0, region(trials=3, best=0.5, successes=1)),
        (region(), [0.9995], 0, region(trials=3, best=0.9995, failures=1)),
        (region(best=-1.0), [-1.0005], 0, region(trials=3, best=-1.0005, failures=1)),
        (region(best=-1.0), [-1.002], 0, region(trials=3, best=-1.002, successes=1)),
        # One ends the row of the other.
        (region(failures=5), [0.5], 0, region(trials=3, best=0.5, successes=1)),
        (region(successes=2), [2.0], 0, region(trials=3, failures=1)),
        # Three successes double the length, up to the longest.
        (region(successes=2), [0.5], 0, region(trials=3, best=0.5, length=2 * FIRST)),
        (region(successes=2, length=LONG), [0.5], 0, region(trials=3, best=0.5, length=LONGEST)),
        # As many failures as parameters halve it.
        (region(failures=4), [2.0], 0, region(trials=3, failures=5)),
        (region(failures=5), [2.0], 0, region(trials=3, length=FIRST / 2)),
        (region(failures=5, length=SHORT), [2.0], 0, region(trials=3, length=SHORT / 2)),
        # A batch counts once if it succeeds, and with all its points if it fails.
        (region(), [2.0, 0.5, 0.4], 0, region(trials=5, best=0.4, successes=1)),
        (region(), [2.0, 3.0, 4.0], 0, region(trials=5, failures=3)),
        (region(failures=3), [2.0, 3.0, 4.0], 0, region(trials=5, length=FIRST / 2)),
        # It has not failed while part of it is out, but may have succeeded.
        (region(), [2.0], 1, region(trials=4)),
        (region(), [0.5], 1, region(trials=4, best=0.5, successes=1)),
        (region(), [], 2, region(trials=4)),
        # A bad point is a failure.
        (region(), [math.inf], 0, region(trials=3, failures=1)),
        (region(best=math.inf), [math.inf], 0, region(trials=3, best=math.inf, failures=1)),
    ],
)
def test_what_a_batch_does_to_a_region(before, losses, pending, after):
    assert before.saw(losses, pending, RULES) == after


def test_patience_is_the_number_of_parameters_and_at_least_four():
    assert Rules(design=2, parameters=30).patience == 30
    assert Rules(design=2, parameters=1).patience == 4


def test_a_region_that_never_succeeds_ends_after_seven_halvings():
    state, points = region(), 0
    while not state.ended:
        state, points = state.saw([2.0], 0, RULES), points + 1
    assert points == 7 * RULES.patience
    assert SHORT / 2 < state.length < SHORT


SPACE = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)])
PROBLEM = Problem(space=SPACE, objectives=[Objective(metric="loss")])


def trial(number, loss, batch=None, region=0, state=TrialState.COMPLETED):
    origin = {} if batch is None else {"region": region, "batch": batch}
    values = {} if loss is None else {"loss": loss}
    return Trial(
        number=number, config={"x": number / 1000}, state=state, values=values, origin=origin
    )


def replayed(trials, rules=RULES):
    return replay(trials, lessons(PROBLEM, trials), rules)


def test_trials_proposed_together_count_together():
    trials = [trial(0, 5.0, 0), trial(1, 4.0, 0), *(trial(n, 9.0, 1) for n in (2, 3, 4))]
    assert replayed(trials).region == Region(trials=5, best=4.0, failures=3)
    apart = [trial(n, t.values["loss"], n) for n, t in enumerate(trials)]
    assert replayed([*apart[:2], trial(2, 3.0, 2), trial(3, 2.0, 3)]).region.successes == 2
    together = [*apart[:2], trial(2, 3.0, 2), trial(3, 2.0, 2)]
    assert replayed(together).region.successes == 1


def test_trials_of_unknown_origin_count_where_they_stand():
    trials = [trial(n, loss) for n, loss in enumerate([5.0, 4.0, 3.0, 9.0, 9.0])]
    assert replayed(trials).region == Region(trials=5, best=3.0, failures=2)


def test_running_cancelled_and_failed_trials():
    base = [trial(0, 5.0, 0), trial(1, 4.0, 0)]
    running = trial(2, None, 1, state=TrialState.RUNNING)
    assert replayed([*base, running]).region == Region(trials=3, best=4.0)
    cancelled = trial(2, None, 1, state=TrialState.CANCELLED)
    assert replayed([*base, cancelled]).region == Region(trials=2, best=4.0)
    for state in (TrialState.FAILED, TrialState.INFEASIBLE):
        bad = trial(2, None, 1, state=state)
        assert replayed([*base, bad]).region == Region(trials=3, best=4.0, failures=1)


def fruitless(count, start=2):
    return [trial(n, 9.0, n) for n in range(start, start + count)]


def test_a_region_that_has_ended_gives_way_to_one_that_knows_nothing():
    base = [trial(0, 5.0, 0), trial(1, 4.0, 0)]
    all_but_one = [*base, *fruitless(7 * RULES.patience - 1)]
    assert replayed(all_but_one).region.number == 0
    ended = [*all_but_one, trial(len(all_but_one), 9.0, 999)]
    assert replayed(ended).region == Region(number=1)
    assert replayed(ended).members == frozenset()
    n = len(ended)
    later = [trial(n, 7.0, n, region=1), trial(n + 1, 8.0)]
    assert replayed([*ended, *later]).region == Region(number=1, trials=2, best=7.0)
    assert replayed([*ended, *later]).members == {n, n + 1}


def test_a_late_result_of_a_region_that_has_ended_does_not_count_for_the_next():
    base = [trial(0, 5.0, 0), trial(1, 4.0, 0), *fruitless(7 * RULES.patience)]
    n = len(base)
    late = [*base, trial(n, 6.0, n, region=1), trial(n + 1, 0.1, n + 1, region=0)]
    found = replayed(late)
    assert found.region == Region(number=1, trials=1, best=6.0)
    assert found.members == {n}


def test_a_region_stays_ended_whatever_comes_in_late():
    """Trial 2 ran while the region ended; that it then succeeded cannot undo what came after."""
    base = [trial(0, 5.0, 0), trial(1, 4.0, 0), *fruitless(7 * RULES.patience)]
    base[2] = trial(2, 1.0, 2)
    base[9] = trial(9, 0.5, 9)
    assert replayed(base).region.number == 0
    n = len(base)
    found = replayed([*base, trial(n, 6.0, n, region=1)])
    assert found.region == Region(number=1, trials=1, best=6.0)


@pytest.mark.parametrize("odd", [-1, True, "3", None, 1.5, 2**40, [1]])
def test_an_origin_of_nonsense_is_one_that_says_nothing(odd):
    strange = Trial(
        number=2,
        config={"x": 0.5},
        state=TrialState.COMPLETED,
        values={"loss": 3.0},
        origin={"region": odd, "batch": odd},
    )
    found = replayed([trial(0, 5.0, 0), trial(1, 4.0, 0), strange])
    assert found.region == Region(trials=3, best=3.0, successes=1)
