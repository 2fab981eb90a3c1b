"""The maximum of an acquisition over the configs that nobody has tried, without gradients."""

from collections.abc import Callable

import numpy as np

from search.candidates import Candidates
from search.scales import Floats

STARTS, ROUNDS, ELITE = 8, 5, 5


def maximise(
    score: Callable[[Floats], Floats], candidates: Candidates, best: Floats, effort: int
) -> tuple[Floats, float] | None:
    """The best of about `effort` candidates and its score; None if no untried one came up.

    Most are drawn uniformly or near the best observed rows; the rest are mutations of the highest
    scores, in rounds of half the step each.
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
    top, values = _top(rows, score(rows))
    for round_ in range(ROUNDS if candidates.everything is None else 0):
        moved = candidates.untried(candidates.mutations(top, local, 0.2 * 0.5**round_))
        if len(moved):
            top, values = _top(np.concatenate([top, moved]), np.concatenate([values, score(moved)]))
    return top[0], float(values[0])


def _top(rows: Floats, values: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(-values, kind="stable")[:STARTS]
    return rows[order], values[order]
