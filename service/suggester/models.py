"""Which searchers fit a model, from which trial on, and what must be loaded for it."""

from collections.abc import Iterable, Mapping

from search.choices import choices
from search.problem import Problem
from search.searcher import Searcher
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

QUICK = ("scipy.stats.qmc", "search.encoding", "search.fresh")

MODULES: Mapping[type[Searcher], tuple[str, ...]] = {
    BoTorch: (
        "search.bayes.suggest",
        "search.bayes.general",
        "search.bayes.transfer",
        "search.bayes.fidelity",
    ),
    CMAES: ("search.cma.suggest",),
    Evolution: ("search.evolution.ageing", *QUICK),
    Forest: ("search.forest.suggest", *QUICK),  # brings scikit-learn
    GP: ("search.gp.suggest",),  # brings scipy
    NSGA2: ("search.evolution.nsga2", *QUICK),
    TPE: ("search.tpe.suggest", *QUICK),
    TuRBO: ("search.turbo.suggest",),
}


def model_from(searcher: Searcher, problem: Problem, budget: int | None = None) -> int | None:
    """How many trials a study has before its searcher fits a model; None when it never does.

    Before that a batch takes milliseconds.
    """
    match searcher:
        case Random() | Sobol() | Grid():
            return None
        case Phased():
            if model_from(searcher.first, problem) is not None:
                return 0
            return None if model_from(searcher.then, problem) is None else searcher.after
        case AutoSearcher():
            return _auto_from(searcher, problem, budget)
        case Forest() | TPE():
            return searcher.initial
        case _:
            return 0


def _auto_from(searcher: AutoSearcher, problem: Problem, budget: int | None) -> int | None:
    covered = [choice.covered for choice in choices(problem)]
    if not covered:
        return None
    return searcher.first_trials(problem, budget) if all(covered) else 0


def modules(searcher: Searcher, problem: Problem) -> tuple[str, ...]:
    """What the searcher's fits import: to be loaded before one is timed."""
    if isinstance(searcher, AutoSearcher):
        return _together((choice.searcher for choice in choices(problem)), problem)
    if isinstance(searcher, Phased):
        return _together((searcher.first, searcher.then), problem)
    if isinstance(searcher, BoTorch) and searcher.surrogate is not None:
        return ("search.surrogates.suggest",)
    if isinstance(searcher, BoTorch) and problem.by_preference:
        return ("search.bayes.preference",)
    return MODULES.get(type(searcher), ())


def _together(searchers: Iterable[Searcher], problem: Problem) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in searchers for name in modules(each, problem)))
