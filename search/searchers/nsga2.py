"""The settings of NSGA-II; search/evolution/nsga2.py holds the work."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NSGA2(Searcher):
    """Crosses and mutates the trials that no other dominates, for one objective or several.

    The first `population` trials are points of a Sobol sequence; from then on it is how many
    survive to be parents.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(
        {Feature.CONDITIONS, Feature.SEVERAL_OBJECTIVES, Feature.OUTCOME_CONSTRAINTS}
    )

    population: Whole = 50
    kind: Literal["nsga2"] = "nsga2"

    def __post_init__(self) -> None:
        check_range("population", self.population, 4, 1000)

    def suggest(self, history: History, count: int) -> Batch:
        from search.evolution.nsga2 import suggest

        return suggest(self, history, count)
