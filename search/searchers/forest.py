"""The settings of the random forest searcher; search/forest holds the work."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Forest(Searcher):
    """A forest of randomised regression trees and expected improvement, for one objective.

    The first `initial` trials are Sobol points.  `trees` is the size of the forest, and
    `candidates` about how many points it scores for a suggestion.
    """

    features: ClassVar[frozenset[Feature]] = frozenset({Feature.CONDITIONS})

    initial: Whole = 10
    trees: Whole = 24
    candidates: Whole = 2100
    kind: Literal["forest"] = "forest"

    def __post_init__(self) -> None:
        check_range("initial", self.initial, 1, 100_000)
        check_range("trees", self.trees, 4, 1000)
        check_range("candidates", self.candidates, 100, 100_000)

    def suggest(self, history: History, count: int) -> Batch:
        from search.forest.suggest import suggest

        return suggest(self, history, count)
