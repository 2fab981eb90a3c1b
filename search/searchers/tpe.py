"""The settings of the tree-structured Parzen estimator; search/tpe holds the work."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TPE(Searcher):
    """Draws from where good trials lie and keeps what lies least among the others.

    The first `initial` trials are Sobol points.  After them a suggestion is the best of
    `candidates` draws; more of them make the search greedier.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(
        {Feature.CONDITIONS, Feature.SEVERAL_OBJECTIVES, Feature.OUTCOME_CONSTRAINTS}
    )

    initial: Whole = 10
    candidates: Whole = 24
    kind: Literal["tpe"] = "tpe"

    def __post_init__(self) -> None:
        check_range("initial", self.initial, 1, 100_000)
        check_range("candidates", self.candidates, 1, 10_000)

    def suggest(self, history: History, count: int) -> Batch:
        from search.tpe.suggest import suggest

        return suggest(self, history, count)
