"""The searcher for whoever does not want to choose one."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

from search.problem import Problem
from search.searcher import Batch, Feature, History, Searcher, Suggestion, features_of
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from search.settings import check_range
from search.values import Whole

PREFERRED = BoTorch()  # for studies by preference


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AutoSearcher(Searcher):
    """Sobol points first, then Gaussian processes; Sobol throughout where those cannot serve.

    By preference, BoTorch's Gaussian process of what people prefer.

    `initial` says how many trials come first.  By default 10, which did best in comparisons on
    spaces of up to 20 parameters, and one for every two parameters beyond that.  The origin of
    every suggestion says under "auto" what was chosen and why.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    initial: Whole | None = None
    kind: Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if self.initial is not None:
            check_range("initial", self.initial, 1, 100_000)

    def suggest(self, history: History, count: int) -> Batch:
        if history.problem.by_preference:
            choice = "botorch: a person's answers instead of a metric"
            return _explain(PREFERRED.suggest(history, count), choice, choice)
        if refused := refusals(history.problem):
            choice = f"sobol throughout: gp cannot serve this study, {'; '.join(refused)}"
            return _explain(Sobol().suggest(history, count), choice, choice)
        first = self.first_trials(history.problem)
        phased = Phased(first=Sobol(), then=GP(), after=first)
        return _explain(
            phased.suggest(history, count),
            f"sobol: the first {first} trials cover the space",
            f"gp: one objective, after {first} trials that cover the space",
        )

    def first_trials(self, problem: Problem) -> int:
        """How many trials cover the space before a model chooses."""
        return self.initial or max(10, len(problem.space.parameters) // 2)


def refusals(problem: Problem) -> list[str]:
    """Why no model serves the problem, a sentence each; empty when one does."""
    return [reason for feature, reason in features_of(problem) if feature not in GP.features]


def _explain(batch: Batch, covering: str, searching: str) -> Batch:
    def explained(suggestion: Suggestion) -> Suggestion:
        # A fallback of the model's to Sobol says "because", and is part of its phase.
        origin = suggestion.origin
        early = origin["by"] == "sobol" and "because" not in origin
        return replace(suggestion, origin={**origin, "auto": covering if early else searching})

    return replace(batch, suggestions=[explained(s) for s in batch.suggestions])
