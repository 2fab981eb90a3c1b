"""One searcher for the first trials, another for the rest."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, TypeAlias, final

from search.nested import read_memos, write_memos
from search.problem import Problem
from search.searcher import Batch, Feature, History, Objection, Searcher
from search.searchers.botorch import BoTorch
from search.searchers.cmaes import CMAES
from search.searchers.evolution import Evolution
from search.searchers.forest import Forest
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.nsga2 import NSGA2
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.searchers.tpe import TPE
from search.searchers.turbo import TuRBO
from search.settings import check_range
from search.values import Tagged, Whole

Part: TypeAlias = Annotated[
    Random | Sobol | Grid | GP | BoTorch | CMAES | Evolution | Forest | NSGA2 | TPE | TuRBO,
    Tagged(),
]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Phased(Searcher):
    """`first` proposes until the study has `after` trials, or until it is exhausted; then `then`.

    Every trial counts, whoever proposed it and however it ended, and so does every suggestion that
    waits to become one.
    """

    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    first: Part
    then: Part
    after: Whole
    kind: Literal["phased"] = "phased"

    def __post_init__(self) -> None:
        check_range("after", self.after, 0, 1_000_000)

    def supports(self) -> frozenset[Feature]:
        return self.first.supports() & self.then.supports()

    def objections(self, problem: Problem) -> tuple[Objection, ...]:
        return (
            *(objection.under("first") for objection in self.first.objections(problem)),
            *(objection.under("then") for objection in self.then.objections(problem)),
        )

    def planned_steps(self) -> tuple[int, int] | None:
        return self.then.planned_steps() or self.first.planned_steps()

    def suggest(self, history: History, count: int) -> Batch:
        memos = read_memos(history.memo)
        early = min(count, max(0, self.after - len(history.trials) - len(history.reserved)))
        begin = Batch(suggestions=(), memo=memos.get("first"))
        if early:
            begin = self.first.suggest(replace(history, memo=memos.get("first")), early)
        end = Batch(suggestions=(), memo=memos.get("then"))
        if len(begin.suggestions) < count:
            proposed = [suggestion.config for suggestion in begin.suggestions]
            later = replace(
                history, memo=memos.get("then"), reserved=[*history.reserved, *proposed]
            )
            end = self.then.suggest(later, count - len(proposed))
        return Batch(
            suggestions=[*begin.suggestions, *end.suggestions],
            memo=write_memos(first=begin.memo, then=end.memo),
            exhausted=end.exhausted,
        )
