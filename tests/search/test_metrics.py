"""What trials teach of several metrics, and the scale on which they are modelled."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.metrics import lessons_of, metrics_of
from search.parameters import FloatParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.space import SearchSpace
from search.trial import Trial, TrialState
from search.units import Units

SPACE = SearchSpace(parameters=[FloatParameter(name="x", low=0, high=1)])


def problem(objectives, constraints=()):
    return Problem(space=SPACE, objectives=objectives, constraints=constraints)


def trial(number, state=TrialState.COMPLETED, **values):
    return Trial(number=number, config={"x": number / 10}, state=state, values=values)


def taught(metric, study, trials):
    return [
        (lesson.number, lesson.loss, lesson.measured)
        for lesson in lessons_of(metric, study, trials)
    ]


def test_objectives_come_first_and_constraints_join_them():
    study = problem(
        [Objective(metric="accuracy", goal="maximize"), Objective(metric="ms")],
        [
            OutcomeConstraint(metric="bytes", at_most=9),
            OutcomeConstraint(metric="accuracy", at_least=0.5),
            OutcomeConstraint(metric="ms", at_least=1, at_most=8),
            OutcomeConstraint(metric="bytes", at_most=7),
            OutcomeConstraint(metric="f1", at_least=0.2),
        ],
    )
    found = [(m.name, m.sign, m.objective, m.low, m.high) for m in metrics_of(study)]
    assert found == [
        ("accuracy", -1, True, -math.inf, -0.5),
        ("ms", 1, True, 1, 8),
        ("bytes", 1, False, -math.inf, 7),
        ("f1", -1, False, -math.inf, -0.2),
    ]


def test_each_objective_learns_from_its_own_values():
    study = problem([Objective(metric="loss"), Objective(metric="accuracy", goal="maximize")])
    trials = [
        trial(0, loss=1.0, accuracy=0.5),
        trial(1, loss=3.0, accuracy=0.9),
        trial(2, loss=2.0),
        trial(3, TrialState.INFEASIBLE),
        trial(4, TrialState.FAILED),
        trial(5, TrialState.CANCELLED),
        trial(6, TrialState.RUNNING),
        trial(7, loss=math.nan, accuracy=0.7),
    ]
    loss, accuracy = metrics_of(study)
    assert taught(loss, study, trials) == [
        (0, 1.0, True), (1, 3.0, True), (2, 2.0, True), (3, 3.0, False), (4, 2.0, False),
        (7, 3.0, False),
    ]  # fmt: skip
    assert taught(accuracy, study, trials) == [
        (0, -0.5, True), (1, -0.9, True), (3, -0.5, False), (4, -0.7, False), (7, -0.7, True),
    ]  # fmt: skip


@pytest.mark.parametrize(("bound", "bad"), [(9.0, 9.0), (3.0, 5.0)])
def test_what_is_known_of_a_constraint_counts_and_bad_points_are_no_better_than_the_bound(
    bound, bad
):
    study = problem([Objective(metric="loss")], [OutcomeConstraint(metric="ms", at_most=bound)])
    trials = [
        trial(0, loss=1.0, ms=5.0),
        trial(1, TrialState.STOPPED, loss=1.0, ms=1.0),
        trial(2, TrialState.INFEASIBLE, ms=4.0),
        trial(3, TrialState.INFEASIBLE),
        trial(4, TrialState.FAILED, ms=99.0),
        trial(5, loss=1.0),
        trial(6, loss=1.0, ms=math.inf),
    ]
    assert taught(metrics_of(study)[1], study, trials) == [
        (0, 5.0, True), (1, 1.0, True), (2, 4.0, True), (3, bad, False), (4, 4.0, False),
        (6, bad, False),
    ]  # fmt: skip


def test_a_metric_that_nobody_measured_teaches_nothing():
    study = problem([Objective(metric="loss")], [OutcomeConstraint(metric="ms", at_least=1)])
    trials = [trial(0, loss=1.0), trial(1, TrialState.INFEASIBLE)]
    assert lessons_of(metrics_of(study)[1], study, trials) == []


# ---- units


def test_units_are_those_of_a_standard_deviation():
    losses = [1.0, 2.0, 4.0, 9.0]
    units = Units.of(losses)
    y = units.y(np.array(losses))
    assert y.mean() == pytest.approx(0)
    assert y.std() == pytest.approx(1)
    assert [units.loss(v) for v in y] == pytest.approx(losses)


def test_equal_losses_are_at_nought():
    units = Units.of([3.0] * 5)
    assert units.y(np.array([3.0, 4.0])).tolist() == [0.0, 1.0]
    assert units.loss(0.0) == 3.0


def test_an_absurd_loss_is_bad_and_a_bound_among_absurd_ones_keeps_its_side():
    units = Units.of([*np.linspace(0, 1, 20), 1e12])
    y = units.y(np.array([0.0, 1.0, 1e6, 1e12, 1e13]))
    assert np.all(np.diff(y) > 0)
    assert y[1] - y[0] > 0.05 * (y[3] - y[0])
    assert units.loss(y[2]) == pytest.approx(1e6)
    assert units.y(math.inf) == math.inf
    assert units.y(-math.inf) == -math.inf


@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30),
    st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=5),
)
def test_units_keep_the_order_of_any_losses(losses, others):
    units = Units.of(losses)
    ordered = np.clip(np.sort(others), -1e150, 1e150)
    assert np.all(np.isfinite(units.y(np.array(losses).clip(-1e150, 1e150))))
    assert np.all(np.diff(units.y(ordered)) >= 0)
    assert all(math.isfinite(units.loss(float(v))) for v in (-50, -1, 0, 1, 50))
