"""The searcher for whoever does not want to choose one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

from search.choices import Choice, choices, choose, covering, is_small, refusals
from search.nested import read_memos, write_memos
from search.problem import Problem
from search.searcher import Aid, Batch, Feature, History, Objection, Searcher
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AutoSearcher(Searcher):
    """Sobol points first, then the model that suits the study; Sobol throughout where none does.

    The table in search/choices.py says which model suits which study.  `initial` says how many
    trials come first: by default 10, or one for every two parameters if that is more, and 4 where
    one objective has a budget of at most 15 trials.  The origin of every suggestion says under
    "auto" what was chosen and why.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)
    aids: ClassVar[frozenset[Aid]] = frozenset(Aid)

    initial: Whole | None = None
    kind: Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if self.initial is not None:
            check_range("initial", self.initial, 1, 100_000)

    def objections(self, problem: Problem) -> tuple[Objection, ...]:
        # Sobol points can stand in for a model, but what they leave aside they do not serve.
        informed = problem.earlier or problem.has_gradients
        if not informed or any(choices(problem)):
            return ()
        return tuple(Objection(reason=reason) for reason in refusals(problem))

    def suggest(self, history: History, count: int) -> Batch:
        choice = choose(history.problem, len(history.trials))
        if choice is None:
            reasons = "; ".join(refusals(history.problem))
            why = f"sobol throughout: no model serves this study, {reasons}"
            return _explain(Sobol().suggest(history, count), [why] * count)
        first = self.first_trials(history.problem, history.budget) if choice.covered else 0
        batch = _go_on(choice, first, history, count)
        searching = f"{choice.searcher.kind_of()}: {choice.because}"
        if not first:  # a searcher that covers the space in its own way
            return _explain(batch, [searching] * count)
        early = max(0, first - len(history.trials) - len(history.reserved))
        opening = f"sobol: the first {first} trials cover the space{self._why_few(history)}"
        searching += f", after {first} trials that cover the space"
        return _explain(batch, [opening] * early + [searching] * count)

    def first_trials(self, problem: Problem, budget: int | None = None) -> int:
        """How many trials cover the space before a model chooses."""
        return self.initial or covering(problem, budget)

    def _why_few(self, history: History) -> str:
        if self.initial or not is_small(history.problem, history.budget):
            return ""
        return f", no more of a budget of {history.budget}"


def _go_on(choice: Choice, first: int, history: History, count: int) -> Batch:
    """The batch of the chosen searcher, which gets no memo but its own."""
    kind = choice.searcher.kind_of()
    phased = Phased(first=Sobol(), then=choice.searcher, after=first)
    inner = replace(history, memo=read_memos(history.memo).get(kind))
    batch = phased.suggest(inner, count)
    return replace(batch, memo=write_memos(**{kind: batch.memo}))


def _explain(batch: Batch, reasons: Sequence[str]) -> Batch:
    """The batch with a reason for each of its suggestions, of which there are at most as many."""
    explained = [
        replace(suggestion, origin={**suggestion.origin, "auto": why})
        for suggestion, why in zip(batch.suggestions, reasons, strict=False)
    ]
    return replace(batch, suggestions=explained)
