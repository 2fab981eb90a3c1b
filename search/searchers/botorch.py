"""The settings of Bayesian optimisation with BoTorch; search/bayes holds the work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, final

from search.errors import InvalidSettings
from search.fidelity import Fidelity
from search.problem import Problem
from search.searcher import Aid, Batch, Feature, History, Objection, Searcher
from search.searchers.aims import Acquisition, Cost, Risk
from search.searchers.fitting import objections
from search.settings import check_range
from search.surrogates.kinds import SurrogateSettings
from search.values import Real, Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoTorch(Searcher):
    """Gaussian processes, one for every metric, and an acquisition function by name.

    With gradients: a Gaussian process of the objective and its derivatives.

    By preference: a Gaussian process of what the answers prefer, and the expected utility of the
    better of two configs, the best so far and the next one to compare with it.

    `fit_evaluations` bounds how often a batch evaluates the marginal likelihood of a metric, and
    `candidates` how many points it scores for each suggestion; both count work rather than
    seconds, so that the same history gives the same answer on any machine.  `prior_weight` is that
    of `gp`.

    `acquisition` "auto" is noisy expected improvement for one objective, noisy expected hypervolume
    improvement for two to four, and ParEGO beyond.  `cost` makes it count per unit of cost.
    `input_noise` says by how much a parameter's value wavers when a config is put to use, as a
    standard deviation on its declared scale from 0 to 1; `risk` says what of that counts.
    With `fidelity` it proposes how far to run each config, too.  A `surrogate` takes the place of
    the Gaussian process of one objective, with bounds of its own on its fit.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(
        {
            Feature.CONDITIONS,
            Feature.GRADIENTS,
            Feature.OUTCOME_CONSTRAINTS,
            Feature.PARAMETER_CONSTRAINTS,
            Feature.PREFERENCES,
            Feature.PRIORS,
            Feature.SEVERAL_OBJECTIVES,
        }
    )
    aids: ClassVar[frozenset[Aid]] = frozenset({Aid.TRANSFER})

    fit_evaluations: Whole = 80
    candidates: Whole = 2000
    prior_weight: Real = 10.0
    acquisition: Acquisition = "auto"
    cost: Cost | None = None
    input_noise: Mapping[str, Real] | None = field(default=None, hash=False)
    risk: Risk | None = None
    fidelity: Fidelity | None = None
    surrogate: SurrogateSettings | None = None
    kind: Literal["botorch"] = "botorch"

    def __post_init__(self) -> None:
        check_range("fit_evaluations", self.fit_evaluations, 10, 10_000)
        check_range("candidates", self.candidates, 100, 100_000)
        check_range("prior_weight", self.prior_weight, 0, 1000)
        if self.risk is not None and not self.input_noise:
            raise InvalidSettings("needs input_noise, which it is the risk of", at=("risk",))
        for name, sd in (self.input_noise or {}).items():
            if not 0 < sd <= 0.5:
                raise InvalidSettings(
                    f"expected above 0 to 0.5, got {sd}", at=("input_noise", name)
                )

    def objections(self, problem: Problem) -> tuple[Objection, ...]:
        return objections(self, problem)

    def planned_steps(self) -> tuple[int, int] | None:
        return (self.fidelity.low, self.fidelity.high) if self.fidelity else None

    def suggest(self, history: History, count: int) -> Batch:
        if history.problem.by_preference:
            from search.bayes.preference import suggest_preferred

            return suggest_preferred(self, history, count)
        if self.surrogate is not None:
            from search.surrogates.suggest import suggest as with_surrogate

            return with_surrogate(self, self.surrogate, history, count)
        if self.fidelity is not None:
            from search.bayes import fidelity

            return fidelity.suggest(self, self.fidelity, history, count)
        if history.problem.earlier:
            from search.bayes import transfer

            return transfer.suggest(self, history, count)
        if self.plain(history.problem):
            return self._plainly(history, count)
        from search.bayes.general import suggest as suggest_generally

        return suggest_generally(self, history, count)

    def _plainly(self, history: History, count: int) -> Batch:
        if history.problem.has_gradients:
            from search.bayes.gradients import suggest_with_gradients

            return suggest_with_gradients(self, history, count)
        from search.bayes.suggest import suggest

        return suggest(self, history, count)

    def plain(self, problem: Problem) -> bool:
        """Whether the quick way for one objective and nothing else will do."""
        one = len(problem.objectives) == 1 and not (problem.constraints or problem.earlier)
        usual = self.acquisition in ("auto", "log_nei")
        special = (self.cost, self.input_noise, self.fidelity, self.surrogate)
        return one and usual and not any(special)
