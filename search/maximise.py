"""The maximum of an acquisition over the configs that nobody has tried, without gradients."""

from collections.abc import Callable

import numpy as np

from search.candidates import Candidates
from search.scales import Floats

STARTS, ROUNDS, ELITE = 8, 5, 5


def maximise(
    score: Callable[[Floats], Floats], candidates: Candidates, best: Floats, effort: int
) -> tuple[Floats, float] | None:
    """The best of about `effort` candidates and its score; None if no untried one came up."""
    found = highest(score, candidates, best, effort, STARTS)
    return None if found is None else (found[0][0], float(found[1][0]))


def highest(
    score: Callable[[Floats], Floats], candidates: Candidates, best: Floats, effort: int, count: int
) -> tuple[Floats, Floats] | None:
    """The `count` best of about `effort` candidates and their scores, best first.

    Most are drawn uniformly or near the best observed rows; the rest are mutations of the highest
    scores, in rounds of half the step each.  `count` is at least STARTS.
    """
    local = max(1, effort * 2 // 5 // (STARTS * ROUNDS))
    spread = effort - local * STARTS * ROUNDS
    near = candidates.mutations(best[:ELITE], max(1, spread // 4 // ELITE), 0.1)
    wide = candidates.everything
    if wide is None:
        wide = np.concatenate([candidates.uniform(spread - len(near)), near])
    rows = candidates.untried(wide)
    if not len(rows):
        return None
    top, values = _top(rows, score(rows), count)
    for round_ in range(ROUNDS if candidates.everything is None else 0):
        step = 0.2 * 0.5**round_
        moved = candidates.untried(candidates.mutations(top[:STARTS], local, step))
        if len(moved):
            both = np.concatenate([top, moved]), np.concatenate([values, score(moved)])
            top, values = _top(*both, count)
    return top, values


def _top(rows: Floats, values: Floats, count: int) -> tuple[Floats, Floats]:
    order = np.argsort(-values, kind="stable")[:count]
    return rows[order], values[order]
