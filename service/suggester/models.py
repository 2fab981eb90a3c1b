"""Which searchers fit a model, from which trial on, and what must be loaded for it."""

from search.problem import Problem
from search.searcher import Searcher
from search.searchers.auto import PREFERRED, AutoSearcher, refusals
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.grid import Grid
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol

QUICK = ("scipy.stats.qmc", "search.encoding", "search.fresh")


def model_from(searcher: Searcher, problem: Problem) -> int | None:
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
            if problem.by_preference:
                return model_from(PREFERRED, problem)
            return None if refusals(problem) else searcher.first_trials(problem)
        case _:
            return 0


def modules(searcher: Searcher, problem: Problem | None = None) -> tuple[str, ...]:
    """What the searcher's fits import: to be loaded before one is timed.

    `problem` matters where it may be one by preference.
    """
    preferred = problem is not None and problem.by_preference
    match searcher:
        case BoTorch() if preferred:
            return ("search.bayes.preference",)
        case AutoSearcher() if preferred:
            return modules(PREFERRED, problem)
        case BoTorch():
            return ("search.bayes.suggest",)  # brings torch, gpytorch and botorch
        case GP() | AutoSearcher():
            return ("search.gp.suggest",)  # brings scipy
        case Phased():
            parts = (searcher.first, searcher.then)
            return tuple(dict.fromkeys(name for part in parts for name in modules(part, problem)))
        case _:
            return ()
