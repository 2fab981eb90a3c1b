"""Fronts, crowding and constrained domination: by hand, and against brute force."""

import numpy as np
import pytest

from search.evolution.ranking import crowding, dominates, ranks, total_violations
from search.problem import OutcomeConstraint

INF = np.inf


def beats(a, b, worse_a, worse_b):
    """Deb's constrained domination, as it is written."""
    if worse_a == 0 and worse_b == 0:
        return all(x <= y for x, y in zip(a, b, strict=True)) and any(
            x < y for x, y in zip(a, b, strict=True)
        )
    return worse_a < worse_b


def peeled(losses, violations):
    """The front of each point: what nothing left beats, then again."""
    left, found, front = set(range(len(losses))), [-1] * len(losses), 0
    while left:
        best = {
            j
            for j in left
            if not any(beats(losses[i], losses[j], violations[i], violations[j]) for i in left)
        }
        for j in best:
            found[j] = front
        left, front = left - best, front + 1
    return found


@pytest.mark.parametrize("objectives", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_fronts_are_those_of_brute_force(objectives, seed):
    rng = np.random.default_rng(seed)
    losses = rng.integers(0, 6, (40, objectives)).astype(float)  # with ties and repeats
    violations = np.where(rng.random(40) < 0.3, rng.integers(1, 4, 40), 0).astype(float)
    assert ranks(dominates(losses, violations)).tolist() == peeled(losses, violations)


def test_constrained_domination_by_hand():
    losses = np.array([[0.0, 0.0], [5.0, 5.0], [9.0, 1.0], [6.0, 6.0], [-9.0, -9.0]])
    violations = np.array([0.5, 0.0, 0.0, 0.0, 2.0])
    # The best losses of all violate most: last.  (6, 6) meets the constraints, which beats both.
    assert ranks(dominates(losses, violations)).tolist() == [2, 0, 0, 1, 3]


def test_crowding_by_hand():
    losses = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 2.0], [10.0, 0.0]])
    found = crowding(losses, np.zeros(4, dtype=int))
    assert found[[0, 3]].tolist() == [INF, INF]
    assert found[1:3] == pytest.approx([0.4 + 0.8, 0.9 + 0.6])


def test_crowding_of_an_even_front_is_even_and_each_front_is_its_own():
    along = np.linspace(0, 1, 11)
    front = np.stack([along, 1 - along], axis=1)
    both = np.concatenate([front, front + 1])
    found = crowding(both, np.repeat([0, 1], 11))
    assert found[1:10] == pytest.approx(np.full(9, 0.4))
    assert found[12:21] == pytest.approx(np.full(9, 0.4))
    assert np.isinf(found[[0, 10, 11, 21]]).all()


@pytest.mark.parametrize("value", [0.0, 1e308, -1e308])
def test_crowding_of_points_that_are_all_the_same_is_a_number(value):
    losses = np.full((5, 2), value)
    losses[0] = -value
    assert not np.isnan(crowding(losses, np.zeros(5, dtype=int))).any()


def test_no_constraint_counts_more_for_its_unit():
    amounts = np.array([[1e9, 0.0], [0.0, 0.001], [0.5e9, 0.001], [INF, 0.0], [0.0, 0.0]])
    assert total_violations(amounts).tolist() == [1.0, 1.0, 1.5, INF, 0.0]
    assert total_violations(np.empty((3, 0))).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("value", "by"),
    [(2.0, 0.0), (1.0, 0.0), (0.25, 0.75), (5.5, 2.5), (INF, INF), (-INF, INF), (np.nan, INF)],
)
def test_by_how_much_a_value_misses_a_constraint(value, by):
    between = OutcomeConstraint(metric="bytes", at_least=1, at_most=3)
    assert between.shortfall(value) == by
    assert (by == 0) is between.holds(value)
