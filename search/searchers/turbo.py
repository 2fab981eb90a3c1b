"""The settings of the trust region searcher; search/turbo holds the work."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.problem import Problem
from search.searcher import Batch, Feature, History, Objection, Searcher
from search.searchers.refusals import no_permutations
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TuRBO(Searcher):
    """A Gaussian process in a trust region that grows, shrinks and starts again elsewhere.

    For many parameters and many trials.  A region begins with `initial` Sobol points, two for
    every parameter by default.  `fit_evaluations` bounds how often a batch evaluates the marginal
    likelihood, and `candidates` how many points of the region are compared.
    """

    features: ClassVar[frozenset[Feature]] = frozenset({Feature.CONDITIONS})

    initial: Whole | None = None
    fit_evaluations: Whole = 100
    candidates: Whole = 5000
    kind: Literal["turbo"] = "turbo"

    def __post_init__(self) -> None:
        if self.initial is not None:
            check_range("initial", self.initial, 2, 10_000)
        check_range("fit_evaluations", self.fit_evaluations, 40, 100_000)
        check_range("candidates", self.candidates, 100, 100_000)

    def objections(self, problem: Problem) -> tuple[Objection, ...]:
        return no_permutations(problem)  # its region is a box

    def suggest(self, history: History, count: int) -> Batch:
        from search.turbo.suggest import suggest

        return suggest(self, history, count)
