"""Every combination of values, in a fixed order."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher, Suggestion
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Grid(Searcher):
    """Walks all combinations, the last parameter changing fastest, and is exhausted at the end.

    A continuous parameter takes `points` values that spread over its scale, both ends among them;
    whole numbers, steps and choices take all of theirs.  Under constraints a continuous parameter
    comes last and spreads over what the others leave of it.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(Feature) - {
        Feature.PREFERENCES,
        Feature.PRIORS,
    }

    points: Whole = 10
    kind: Literal["grid"] = "grid"

    def __post_init__(self) -> None:
        check_range("points", self.points, 1, 10_000)

    def suggest(self, history: History, count: int) -> Batch:
        from search.fresh import take_fresh, taken_keys
        from search.walk import walk

        stops = enumerate(walk(history.problem.space, self.points))
        proposals = (
            Suggestion(config=config, origin={"by": "grid", "index": index})
            for index, config in stops
        )
        found = take_fresh(proposals, taken_keys(history), count)
        return Batch(suggestions=found, memo=history.memo, exhausted=len(found) < count)
