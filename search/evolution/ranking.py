"""The order in which NSGA-II prefers points: fronts by constrained domination, then crowding.

Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II",
2002, sections III and VI.  Losses have shape (n, m), lower is better; a violation says by how much
a point misses the constraints on outcomes, and is 0 where it meets them.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from search.encoding import Mask
from search.scales import Floats

Ranks: TypeAlias = npt.NDArray[np.intp]

LIMIT = 1e150  # differences of losses beyond it could overflow


def dominates(losses: Floats, violations: Floats) -> Mask:
    """Whether point i constrained-dominates point j, shape (n, n) (definition 1).

    A point that violates less does, whatever the losses; among points that meet the constraints
    the one that is nowhere worse and somewhere better.
    """
    n = len(losses)
    nowhere, somewhere = np.ones((n, n), dtype=np.bool_), np.zeros((n, n), dtype=np.bool_)
    for column in losses.T:
        nowhere &= column[:, None] <= column
        somewhere |= column[:, None] < column
    feasible = violations == 0
    both: Mask = feasible[:, None] & feasible
    return np.where(both, nowhere & somewhere, violations[:, None] < violations)


def ranks(dominating: Mask) -> Ranks:
    """The front that each point belongs to, from 0: what no other of the rest dominates."""
    found = np.full(len(dominating), -1, dtype=np.intp)
    by = dominating.sum(axis=0)
    front = 0
    while (current := (by == 0) & (found < 0)).any():
        found[current] = front
        by = by - dominating[current].sum(axis=0)
        front += 1
    return found


def crowding(losses: Floats, rank: Ranks) -> Floats:
    """How far each point is from its neighbours in its front, summed over the objectives.

    Each objective is measured by its range in the front; both ends of it are infinitely far.
    """
    distance = np.zeros(len(losses))
    bounded = np.clip(losses, -LIMIT, LIMIT)
    for front in range(int(rank.max(initial=-1)) + 1):
        members = np.flatnonzero(rank == front)
        for column in bounded[members].T:
            order = np.argsort(column, kind="stable")
            spread = column[order[-1]] - column[order[0]]
            distance[members[order[[0, -1]]]] = np.inf
            if spread > 0:
                gaps = (column[order[2:]] - column[order[:-2]]) / spread
                distance[members[order[1:-1]]] += gaps
    return distance


def total_violations(amounts: Floats) -> Floats:
    """One violation for each point, from those of each constraint, shape (n, k).

    Constraints are measured by the largest finite violation among the points, so that none counts
    more for its unit; an infinite amount, of what was never measured, stays infinite.
    """
    finite = np.where(np.isfinite(amounts), np.minimum(amounts, LIMIT), 0.0)
    largest = finite.max(axis=0, initial=0.0)
    scaled = np.minimum(amounts, LIMIT) / np.where(largest > 0, largest, 1.0)
    return np.asarray(np.where(np.isfinite(amounts), scaled, np.inf).sum(axis=1))
