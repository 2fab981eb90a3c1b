"""Points of a scrambled Sobol sequence: random points that keep out of each other's way.

The scrambling comes from the study's seed and the position from the history: one past the largest
index that a trial's origin names.  Points that are reserved but not yet trials come up again and
are skipped, as is everything taken.  So the points of a study do not depend on how many were asked
for at a time, and there is nothing to remember between batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher, Suggestion
from search.values import JSON

if TYPE_CHECKING:
    import numpy as np

    from search.drawing import Drawing

BLOCK = 64  # a power of two: SciPy warns about any other number at the start of a sequence
RARE_BLOCK = 1024  # where constraints leave out most points
RARE_DRAWS = 2**14  # and how many of them to look at for a batch
LAST = 2**30 - 2**20  # SciPy's sequence has 2**30 points
SCRAMBLE = 2**32 - 1  # a spawn key that no batch number reaches


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sobol(Searcher):
    """Fills the space evenly, or as priors say, whatever the results are.

    Points outside the constraints are passed over.  Where those leave next to nothing, the points
    that are missing are drawn at random inside, and their origin says so.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    kind: Literal["sobol"] = "sobol"

    def suggest(self, history: History, count: int) -> Batch:
        from search.drawing import Drawing
        from search.encoding import Cube
        from search.fresh import leftovers, patience, take_fresh, taken_keys

        seen, rng = taken_keys(history), history.rng()
        drawing = Drawing(Cube(history.problem.space))
        draws = len(history.reserved) + patience(count)
        found = take_fresh(_points(history, drawing, draws), seen, count)
        if drawing.region is not None and len(found) < count:
            inside = _inside(drawing, rng, 64 + 4 * count)
            found += take_fresh(inside, seen, count - len(found))
        for config in leftovers(history.problem.space, seen, count - len(found), rng):
            found.append(Suggestion(config=config, origin={"by": "sobol"}))
        return Batch(suggestions=found, memo=history.memo, exhausted=len(found) < count)


def next_index(history: History) -> int:
    """The place in the sequence after the last that became a trial."""
    indices = (
        trial.origin.get("index") for trial in history.trials if trial.origin.get("by") == "sobol"
    )
    return max((i + 1 for i in indices if isinstance(i, int) and 0 <= i < LAST), default=0)


def _points(history: History, drawing: Drawing, count: int) -> Iterator[Suggestion]:
    """Points of the sequence, in blocks of which some points may be left out."""
    import numpy as np
    from scipy.stats.qmc import Sobol as Sequence

    cube, start = drawing.cube, next_index(history)
    free = drawing.region is None
    size, count = (BLOCK, count) if free else (RARE_BLOCK, max(count, RARE_DRAWS))
    seed = np.random.SeedSequence(history.problem.seed, spawn_key=(SCRAMBLE,))
    sequence = Sequence(cube.width, scramble=True, rng=np.random.default_rng(seed))
    if start:  # SciPy overflows on fast_forward(0)
        sequence.fast_forward(start)
    for block in range(start, start + count, size):
        places, rows = drawing.legal(sequence.random(size))
        for place, row in zip(places, rows, strict=True):
            origin: dict[str, JSON] = {"by": "sobol", "index": block + int(place)}
            yield Suggestion(config=cube.decode(row), origin=origin)


def _inside(drawing: Drawing, rng: np.random.Generator, count: int) -> Iterator[Suggestion]:
    for row in drawing.squeezed(rng, count):
        origin = {"by": "sobol", "drawn": "at random, where the constraints leave little"}
        yield Suggestion(config=drawing.cube.decode(row), origin=origin)
