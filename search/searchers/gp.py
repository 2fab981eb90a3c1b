"""The settings of the Gaussian process searcher; search/gp holds the work."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher
from search.settings import check_range
from search.values import Real, Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GP(Searcher):
    """An ensemble of Gaussian processes and expected improvement, for one objective.

    `fit_evaluations` bounds how often a batch evaluates marginal likelihoods, over all fits of the
    ensemble, and `candidates` is about how many points it scores for a suggestion; both count work
    rather than seconds, so that the same history gives the same answer on any machine.
    `prior_weight` says how much priors on parameters count beside results: what they add to the
    acquisition is that over the number of results, so that a wrong one is overcome.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(
        {
            Feature.CONDITIONS,
            Feature.CONTEXTS,
            Feature.PARAMETER_CONSTRAINTS,
            Feature.PRIORS,
        }
    )

    fit_evaluations: Whole = 360
    candidates: Whole = 2100
    prior_weight: Real = 10.0
    kind: Literal["gp"] = "gp"

    def __post_init__(self) -> None:
        check_range("fit_evaluations", self.fit_evaluations, 100, 100_000)
        check_range("candidates", self.candidates, 100, 100_000)
        check_range("prior_weight", self.prior_weight, 0, 1000)

    def suggest(self, history: History, count: int) -> Batch:
        from search.gp.suggest import suggest

        return suggest(self, history, count)
