"""What trials teach, which did best, and which no other beats."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.best import best_trial
from search.outcomes import feasible, lessons, losses
from search.parameters import FloatParameter
from search.pareto import dominates, non_dominated, pareto_front
from search.problem import Objective, OutcomeConstraint, Problem
from search.space import SearchSpace
from search.trial import Measurement, Trial, TrialState

SPACE = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)])
LOSS = Problem(space=SPACE, objectives=[Objective(metric="loss")])
GAIN = Problem(space=SPACE, objectives=[Objective(metric="accuracy", goal="maximize")])
TWO = Problem(
    space=SPACE,
    objectives=[Objective(metric="accuracy", goal="maximize"), Objective(metric="seconds")],
)


def curve(*values, metric="loss"):
    return [Measurement(step=k, values={metric: v}) for k, v in enumerate(values, 1)]


def trial(number=0, state=TrialState.COMPLETED, measurements=(), **values):
    return Trial(
        number=number, config={"x": 0.5}, state=state, values=values, measurements=measurements
    )


def taught(problem, trials):
    return {lesson.number: lesson.loss for lesson in lessons(problem, trials)}


def test_lower_is_better_whatever_the_goal():
    assert losses(GAIN, trial(accuracy=0.9)) == (-0.9,)
    assert losses(LOSS, trial(loss=0.9)) == (0.9,)
    assert losses(TWO, trial(accuracy=0.9, seconds=3.0)) == (-0.9, 3.0)
    assert losses(TWO, trial(accuracy=0.9)) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_the_worst(value):
    assert losses(LOSS, trial(loss=value)) == (math.inf,)
    assert losses(GAIN, trial(accuracy=value)) == (math.inf,)


def test_a_value_told_counts_before_the_measurements():
    measured = trial(measurements=curve(0.5, 0.2, 0.4))
    assert losses(LOSS, measured) == (0.4,)
    assert losses(LOSS, replace(measured, values={"loss": 0.1})) == (0.1,)
    best = replace(LOSS, objectives=[Objective(metric="loss", read="best")])
    assert losses(best, measured) == (0.2,)
    highest = replace(GAIN, objectives=[Objective(metric="accuracy", goal="maximize", read="best")])
    assert losses(highest, trial(measurements=curve(0.5, 0.7, 0.4, metric="accuracy"))) == (-0.7,)


def test_bad_points_teach_the_worst_and_failed_ones_the_median():
    trials = [
        trial(0, loss=1.0),
        trial(1, loss=2.0),
        trial(2, loss=9.0),
        trial(3, TrialState.INFEASIBLE),
        trial(4, loss=math.nan),
        trial(5, TrialState.FAILED),
        trial(6, TrialState.CANCELLED, loss=0.1),
        trial(7, TrialState.RUNNING, curve(0.1)),
        trial(8, TrialState.QUEUED),
        trial(9),
    ]
    assert taught(LOSS, trials) == {0: 1, 1: 2, 2: 9, 3: 9, 4: 9, 5: 2}
    assert [lesson.measured for lesson in lessons(LOSS, trials)] == [True] * 3 + [False] * 3


def test_nothing_finite_teaches_nothing():
    assert lessons(LOSS, [trial(0, loss=math.nan), trial(1, TrialState.INFEASIBLE)]) == []


def test_a_stopped_trial_is_credited_with_what_others_still_gained():
    trials = [
        trial(0, measurements=curve(5.0, 4.0, 2.0)),
        trial(1, measurements=curve(6.0, 5.0, 2.5)),
        trial(2, measurements=curve(7.0, 6.5, 6.0)),
        trial(3, TrialState.STOPPED, curve(9.0, 8.0)),
        trial(4, TrialState.STOPPED, curve(2.1)),
        trial(5, TrialState.STOPPED, curve(9.0, 9.0, 9.0, 9.0)),
    ]
    # After step 2 the others gained 2, 2.5 and 0.5; after step 1: 3, 3.5 and 1; step 4 none saw.
    assert taught(LOSS, trials) == {0: 2.0, 1: 2.5, 2: 6.0, 3: 6.0, 4: 2.0, 5: 9.0}


def test_the_best_is_completed_and_ties_go_to_the_lower_number():
    trials = [
        trial(3, loss=0.2),
        trial(1, loss=0.2),
        trial(0, TrialState.STOPPED, loss=0.1),
        trial(2, loss=math.nan),
        trial(4, TrialState.RUNNING, curve(0.0)),
    ]
    assert best_trial(LOSS, trials).number == 1
    assert best_trial(LOSS, trials[2:]) is None
    assert best_trial(LOSS, []) is None
    assert best_trial(GAIN, [trial(0, accuracy=0.1), trial(1, accuracy=0.9)]).number == 1
    assert best_trial(TWO, [trial(accuracy=0.9, seconds=1.0)]) is None


def test_the_best_meets_the_constraints():
    bounded = replace(LOSS, constraints=[OutcomeConstraint(metric="mb", at_most=10)])
    trials = [
        trial(0, loss=0.1, mb=11.0),
        trial(1, loss=0.2),
        trial(2, loss=0.3, mb=10.0),
        trial(3, loss=0.25, mb=math.nan),
    ]
    assert [feasible(bounded, t) for t in trials] == [False, False, True, False]
    assert best_trial(bounded, trials).number == 2


def test_the_front_leaves_out_what_another_beats():
    points = [(0.9, 3.0), (0.8, 2.0), (0.7, 2.5), (0.8, 2.0), (0.95, 9.0), (0.5, 1.0)]
    trials = [trial(n, accuracy=a, seconds=s) for n, (a, s) in enumerate(points)]
    trials += [trial(6, TrialState.STOPPED, accuracy=1.0, seconds=0.0)]
    trials += [trial(7, accuracy=math.nan, seconds=0.0)]
    assert [t.number for t in pareto_front(TWO, trials)] == [0, 1, 3, 4, 5]


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_the_front_is_what_nothing_dominates(points):
    plain = [
        k for k, point in enumerate(points) if not any(dominates(other, point) for other in points)
    ]
    assert non_dominated(points) == plain
