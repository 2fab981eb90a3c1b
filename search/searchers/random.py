"""Configs drawn on the declared scales, evenly or as priors say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher, Suggestion

ORIGIN = {"by": "random"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Random(Searcher):
    """Independent draws, even on the declared scales or as priors say, within the constraints."""

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    kind: Literal["random"] = "random"

    def suggest(self, history: History, count: int) -> Batch:
        from search.drawing import Drawing
        from search.encoding import Cube
        from search.fresh import leftovers, patience, take_fresh, taken_keys

        space, seen, rng = history.problem.space, taken_keys(history), history.rng()
        draws = 64 + 4 * count if space.constraints else patience(count)
        rows = Drawing(cube := Cube(space)).stream(rng, draws)
        drawn = (Suggestion(config=cube.decode(row), origin=ORIGIN) for row in rows)
        found = take_fresh(drawn, seen, count)
        for config in leftovers(space, seen, count - len(found), rng):
            found.append(Suggestion(config=config, origin=ORIGIN))
        return Batch(suggestions=found, memo=history.memo, exhausted=len(found) < count)
