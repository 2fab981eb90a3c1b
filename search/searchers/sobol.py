"""Points of a scrambled Sobol sequence: random points that keep out of each other's way.

The scrambling comes from the study's seed and the position from the history: one past the largest
index that a trial's origin names.  Points that are reserved but not yet trials come up again and
are skipped, as is everything taken.  So the points of a study do not depend on how many were asked
for at a time, and there is nothing to remember between batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher, Suggestion

BLOCK = 64  # a power of two: SciPy warns about any other number at the start of a sequence
LAST = 2**30 - 2**20  # SciPy's sequence has 2**30 points
SCRAMBLE = 2**32 - 1  # a spawn key that no batch number reaches


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sobol(Searcher):
    """Fills the space evenly, whatever the results are."""

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    kind: Literal["sobol"] = "sobol"

    def suggest(self, history: History, count: int) -> Batch:
        from search.fresh import leftovers, patience, take_fresh, taken_keys

        seen = taken_keys(history)
        draws = len(history.reserved) + patience(count)
        found = take_fresh(_points(history, next_index(history), draws), seen, count)
        rest = leftovers(history.problem.space, seen, count - len(found), history.rng())
        for config in rest:
            found.append(Suggestion(config=config, origin={"by": "sobol"}))
        return Batch(suggestions=found, memo=history.memo, exhausted=len(found) < count)


def next_index(history: History) -> int:
    """The place in the sequence after the last that became a trial."""
    indices = (
        trial.origin.get("index") for trial in history.trials if trial.origin.get("by") == "sobol"
    )
    return max((i + 1 for i in indices if isinstance(i, int) and 0 <= i < LAST), default=0)


def _points(history: History, start: int, count: int) -> Iterator[Suggestion]:
    import numpy as np
    from scipy.stats.qmc import Sobol as Sequence

    from search.encoding import Cube

    cube = Cube(history.problem.space)
    seed = np.random.SeedSequence(history.problem.seed, spawn_key=(SCRAMBLE,))
    sequence = Sequence(cube.width, scramble=True, rng=np.random.default_rng(seed))
    if start:  # SciPy overflows on fast_forward(0)
        sequence.fast_forward(start)
    for block in range(start, start + count, BLOCK):
        for index, row in enumerate(sequence.random(BLOCK), block):
            yield Suggestion(config=cube.decode(row), origin={"by": "sobol", "index": index})
