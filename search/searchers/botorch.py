"""The settings of Bayesian optimisation with BoTorch; search/bayes holds the work."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.fidelity import Fidelity
from search.problem import Problem
from search.searcher import Aid, Batch, Feature, History, Searcher
from search.settings import check_range
from search.space import SearchSpace
from search.values import Whole

FEW = 2000  # configs, as few as can be scored one by one


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoTorch(Searcher):
    """A Gaussian process and noisy expected improvement, for one objective.

    `fit_evaluations` bounds how often a batch evaluates the marginal likelihood, and
    `candidates` how many points it scores for each suggestion; both count work rather than
    seconds, so that the same history gives the same answer on any machine.  With `fidelity` it
    proposes how far to run each config, too.
    """

    features: ClassVar[frozenset[Feature]] = frozenset({Feature.CONDITIONS})
    aids: ClassVar[frozenset[Aid]] = frozenset({Aid.TRANSFER})

    fit_evaluations: Whole = 80
    candidates: Whole = 2000
    fidelity: Fidelity | None = None
    kind: Literal["botorch"] = "botorch"

    def __post_init__(self) -> None:
        check_range("fit_evaluations", self.fit_evaluations, 10, 10_000)
        check_range("candidates", self.candidates, 100, 100_000)

    def objections(self, problem: Problem) -> Iterator[str]:
        if self.fidelity is None:
            return
        if problem.earlier:
            yield "with fidelity it does not learn from earlier studies"
        if _few(problem.space):
            yield (
                f"fidelity needs a space of more than {FEW} configs: one that is run in part is "
                "not run again"
            )

    def planned_steps(self) -> tuple[int, int] | None:
        return (self.fidelity.low, self.fidelity.high) if self.fidelity else None

    def suggest(self, history: History, count: int) -> Batch:
        if self.fidelity is not None:
            from search.bayes import fidelity

            return fidelity.suggest(self, self.fidelity, history, count)
        if history.problem.earlier:
            from search.bayes import transfer

            return transfer.suggest(self, history, count)
        from search.bayes.suggest import suggest

        return suggest(self, history, count)


def _few(space: SearchSpace) -> bool:
    from search.walk import size

    count = size(space)
    return count is not None and count <= FEW
