"""The searchers and schedulers there are, and which problems a searcher can take.

A searcher or scheduler is its settings: a dataclass with a `kind` that names it on the wire.  This
module loads no numpy, scipy or torch.
"""

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from search.errors import UnsupportedProblem
from search.problem import Problem
from search.scheduler import Scheduler
from search.schedulers.asha import ASHA
from search.schedulers.auto import AutoScheduler
from search.schedulers.full import Full
from search.schedulers.median import Median
from search.searcher import Searcher, features_of
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.cmaes import CMAES
from search.searchers.evolution import Evolution
from search.searchers.forest import Forest
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.nsga2 import NSGA2
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.searchers.tpe import TPE
from search.searchers.turbo import TuRBO
from search.values import Tagged

SearcherSettings: TypeAlias = Annotated[
    AutoSearcher
    | BoTorch
    | CMAES
    | Evolution
    | Forest
    | GP
    | Grid
    | NSGA2
    | Phased
    | Random
    | Sobol
    | TPE
    | TuRBO,
    Tagged(),
]
SchedulerSettings: TypeAlias = Annotated[ASHA | AutoScheduler | Full | Median, Tagged()]

SEARCHERS: Mapping[str, type[Searcher]] = {
    searcher.kind_of(): searcher
    for searcher in (
        AutoSearcher,
        BoTorch,
        CMAES,
        Evolution,
        Forest,
        GP,
        Grid,
        NSGA2,
        Phased,
        Random,
        Sobol,
        TPE,
        TuRBO,
    )
}
SCHEDULERS: Mapping[str, type[Scheduler]] = {
    scheduler.kind_of(): scheduler for scheduler in (ASHA, AutoScheduler, Full, Median)
}


def unsupported(problem: Problem, searcher: Searcher) -> tuple[str, ...]:
    """Why the searcher cannot serve the problem, a sentence each; empty when it can."""
    supported = searcher.supports() | searcher.aids
    lacking = (reason for feature, reason in features_of(problem) if feature not in supported)
    return (*lacking, *searcher.objections(problem))


def check_supported(problem: Problem, searcher: Searcher) -> None:
    """Raise UnsupportedProblem, with the reasons, when the searcher cannot serve the problem."""
    if reasons := unsupported(problem, searcher):
        raise UnsupportedProblem(searcher.kind_of(), reasons)
