"""The searcher for whoever does not want to choose one."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

from search.choices import Choice, choices, choose, refusals
from search.nested import read_memos, write_memos
from search.problem import Problem
from search.searcher import Aid, Batch, Feature, History, Searcher, Suggestion
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AutoSearcher(Searcher):
    """Sobol points first, then the model that suits the study; Sobol throughout where none does.

    The table in search/choices.py says which model suits which study.  `initial` says how many
    trials come first.  By default 10, which did best in comparisons on spaces of up to 20
    parameters, and one for every two parameters beyond that.  The origin of every suggestion says
    under "auto" what was chosen and why.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)
    aids: ClassVar[frozenset[Aid]] = frozenset(Aid)

    initial: Whole | None = None
    kind: Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if self.initial is not None:
            check_range("initial", self.initial, 1, 100_000)

    def objections(self, problem: Problem) -> tuple[str, ...]:
        # Sobol points can stand in for a model, but what they leave aside they do not serve.
        informed = problem.earlier or problem.has_gradients
        return refusals(problem) if informed and not any(choices(problem)) else ()

    def suggest(self, history: History, count: int) -> Batch:
        choice = choose(history.problem, len(history.trials))
        if choice is None:
            reasons = "; ".join(refusals(history.problem))
            why = f"sobol throughout: no model serves this study, {reasons}"
            return _explain(Sobol().suggest(history, count), why, why)
        first = self.first_trials(history.problem) if choice.covered else 0
        batch = _go_on(choice, first, history, count)
        searching = f"{choice.searcher.kind_of()}: {choice.because}"
        if not first:  # a searcher that covers the space in its own way
            return _explain(batch, searching, searching)
        covering = f"sobol: the first {first} trials cover the space"
        return _explain(batch, covering, f"{searching}, after {first} trials that cover the space")

    def first_trials(self, problem: Problem) -> int:
        """How many trials cover the space before a model chooses."""
        return self.initial or max(10, len(problem.space.parameters) // 2)


def _go_on(choice: Choice, first: int, history: History, count: int) -> Batch:
    """The batch of the chosen searcher, which gets no memo but its own."""
    kind = choice.searcher.kind_of()
    phased = Phased(first=Sobol(), then=choice.searcher, after=first)
    inner = replace(history, memo=read_memos(history.memo).get(kind))
    batch = phased.suggest(inner, count)
    return replace(batch, memo=write_memos(**{kind: batch.memo}))


def _explain(batch: Batch, covering: str, searching: str) -> Batch:
    def explained(suggestion: Suggestion) -> Suggestion:
        # A fallback of the model's to Sobol says "because", and is part of its phase.
        origin = suggestion.origin
        early = origin["by"] == "sobol" and "because" not in origin
        return replace(suggestion, origin={**origin, "auto": covering if early else searching})

    return replace(batch, suggestions=[explained(s) for s in batch.suggestions])
