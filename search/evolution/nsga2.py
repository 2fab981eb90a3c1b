"""NSGA-II without generations: every suggestion is a child of the best trials there are.

Deb and others, 2002: binary tournaments by front, then crowding; simulated binary crossover
(Deb and Agrawal, "Simulated Binary Crossover for Continuous Search Space", 1995) of numbers,
uniform crossover of choices, and of permutations one that keeps what both parents agree on.  The
mutations are those of search/candidates.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from search.candidates import Candidates
from search.encoding import Cube
from search.evolution.children import AT_A_TIME, first_then
from search.evolution.survivors import Survivors, survivors
from search.orders import blended
from search.parameters import ChoiceParameter
from search.scales import Floats, Permutations
from search.searcher import Batch, History, Suggestion
from search.values import JSON

if TYPE_CHECKING:
    from search.searchers.nsga2 import NSGA2

STEP = 0.1  # of the scale, by which a mutation moves a number
CROSSED = 0.9  # the part of the children that have two parents
ETA = 5.0  # the larger, the closer a child stays to its parents; budgets here are short


def suggest(settings: NSGA2, history: History, count: int) -> Batch:
    """`count` children of the survivors."""
    alive, memo = survivors(history.problem, history.trials, settings.population, history.memo)
    children = _children(history, alive) if len(alive.members) >= 2 else None
    return first_then(history, count, first=settings.population, children=children, memo=memo)


def _children(history: History, alive: Survivors) -> Iterator[Suggestion]:
    cube, rng = Cube(history.problem.space), history.rng()
    candidates = Candidates(cube, cube.encode([]), rng)
    rows = cube.encode(member.trial.config for member in alive.members)
    while True:
        pairs = [[tournament(alive, rng), tournament(alive, rng)] for _ in range(AT_A_TIME)]
        children = candidates.mutations(crossed(cube, rows[np.array(pairs)], rng), 1, STEP)
        for pair, child in zip(pairs, children, strict=True):
            parents = dict.fromkeys(alive.members[place].trial.number for place in pair)
            origin: dict[str, JSON] = {"by": "nsga2", "parents": list(parents)}
            yield Suggestion(config=cube.decode(child), origin=origin)


def tournament(alive: Survivors, rng: np.random.Generator) -> int:
    """The place of the better of two different members drawn: lower front, then less crowded."""
    a = int(rng.integers(len(alive.members)))
    b = (a + int(rng.integers(1, len(alive.members)))) % len(alive.members)
    behind = (alive.rank[b], -alive.crowding[b]) < (alive.rank[a], -alive.crowding[a])
    return b if behind else a


def crossed(cube: Cube, pairs: Floats, rng: np.random.Generator) -> Floats:
    """A child of each pair of rows, shape (n, 2, d) to (n, d).

    A parameter that only one of a pair has active comes from that one; what neither has says
    nothing and is drawn, in case the child needs it.
    """
    first, second = pairs[:, 0], pairs[:, 1]
    active, other = cube.active(first), cube.active(second)
    mixed = np.where(rng.random((len(pairs), 1)) < CROSSED, _mixed(cube, pairs, rng), first)
    child = np.where(active & other, mixed, np.where(active, first, second))
    drawn: Floats = rng.random(child.shape)
    return np.where(active | other, child, drawn)


def _mixed(cube: Cube, pairs: Floats, rng: np.random.Generator) -> Floats:
    """Of both parents in half of the coordinates, the other half from one parent."""
    swap = rng.random((len(pairs), 1)) < 0.5
    first = np.where(swap, pairs[:, 1], pairs[:, 0])
    second = np.where(swap, pairs[:, 0], pairs[:, 1])
    unordered = [isinstance(p, ChoiceParameter) and not p.ordered for p in cube.space.parameters]
    crossing = np.where(np.array(unordered), second, _near(first, second, rng))
    for j, scale in enumerate(cube.scales):
        if isinstance(scale, Permutations):
            both = scale.orders(first[:, j]), scale.orders(second[:, j])
            crossing[:, j] = scale.centres(blended(*both, rng))
    return np.where(rng.random(first.shape) < 0.5, crossing, first)


def _near(first: Floats, second: Floats, rng: np.random.Generator) -> Floats:
    """Simulated binary crossover."""
    u = rng.random(first.shape)
    beta = np.where(u <= 0.5, 2 * u, 1 / (2 - 2 * u)) ** (1 / (ETA + 1))
    return np.clip(0.5 * ((1 + beta) * first + (1 - beta) * second), 0.0, 1.0)
