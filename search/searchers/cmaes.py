"""The settings of CMA-ES; search/cma holds the work."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.problem import Problem
from search.searcher import Batch, Feature, History, Objection, Searcher
from search.searchers.refusals import no_permutations
from search.settings import check_range
from search.values import Real, Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CMAES(Searcher):
    """Draws from a normal distribution that learns from the ranks of its draws.

    `sigma` is the standard deviation to begin with, as a part of every scale.  `population` is how
    many draws make a generation: by default 4 + 3 ln(parameters), and more suits more workers.
    A run that has converged is followed by another: `restarts` says by which rule it is sized.
    `x0` says where the first run begins: at the best trial there is, or at the defaults of the
    space; at the defaults or the middle where there is none.  Above `separable_above` parameters,
    all of them numbers, each has a variance of its own and covariances are left out.
    """

    features: ClassVar[frozenset[Feature]] = frozenset({Feature.CONDITIONS})

    sigma: Real = 0.25
    population: Whole | None = None
    restarts: Literal["ipop", "bipop"] = "ipop"
    x0: Literal["best", "defaults"] = "best"
    separable_above: Whole = 40
    kind: Literal["cmaes"] = "cmaes"

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 1e-4, 10.0)
        if self.population is not None:
            check_range("population", self.population, 4, 1000)
        check_range("separable_above", self.separable_above, 1, 1000)

    def objections(self, problem: Problem) -> tuple[Objection, ...]:
        return no_permutations(problem)  # its distribution is one of numbers, and of choices

    def suggest(self, history: History, count: int) -> Batch:
        from search.cma.suggest import suggest

        return suggest(self, history, count)
