"""The settings of Bayesian optimisation with BoTorch; search/bayes holds the work."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher
from search.settings import check_range
from search.values import Real, Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoTorch(Searcher):
    """A Gaussian process and noisy expected improvement, for one objective.

    By preference: a Gaussian process of what the answers prefer, and the expected utility of the
    better of two configs, the best so far and the next one to compare with it.

    `fit_evaluations` bounds how often a batch evaluates the marginal likelihood, and
    `candidates` how many points it scores for each suggestion; both count work rather than
    seconds, so that the same history gives the same answer on any machine.  `prior_weight` is that
    of `gp`.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(
        {
            Feature.CONDITIONS,
            Feature.PARAMETER_CONSTRAINTS,
            Feature.PREFERENCES,
            Feature.PRIORS,
        }
    )

    fit_evaluations: Whole = 80
    candidates: Whole = 2000
    prior_weight: Real = 10.0
    kind: Literal["botorch"] = "botorch"

    def __post_init__(self) -> None:
        check_range("fit_evaluations", self.fit_evaluations, 10, 10_000)
        check_range("candidates", self.candidates, 100, 100_000)
        check_range("prior_weight", self.prior_weight, 0, 1000)

    def suggest(self, history: History, count: int) -> Batch:
        if history.problem.by_preference:
            from search.bayes.preference import suggest_preferred

            return suggest_preferred(self, history, count)
        from search.bayes.suggest import suggest

        return suggest(self, history, count)
