"""Configs drawn uniformly on the declared scales."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher, Suggestion

if TYPE_CHECKING:
    import numpy as np

    from search.encoding import Cube

ORIGIN = {"by": "random"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Random(Searcher):
    """Independent uniform draws from the generator of the batch."""

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    kind: Literal["random"] = "random"

    def suggest(self, history: History, count: int) -> Batch:
        from search.encoding import Cube
        from search.fresh import leftovers, patience, take_fresh, taken_keys

        space, seen, rng = history.problem.space, taken_keys(history), history.rng()
        found = take_fresh(_draws(Cube(space), rng, patience(count)), seen, count)
        for config in leftovers(space, seen, count - len(found), rng):
            found.append(Suggestion(config=config, origin=ORIGIN))
        return Batch(suggestions=found, memo=history.memo, exhausted=len(found) < count)


def _draws(cube: Cube, rng: np.random.Generator, count: int) -> Iterator[Suggestion]:
    for _ in range(count):
        yield Suggestion(config=cube.decode(rng.random(cube.width)), origin=ORIGIN)
