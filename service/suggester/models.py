"""Which searchers fit a model, and from which trial on."""

from search.problem import Problem
from search.searcher import Searcher, features_of
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.grid import Grid
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol


def model_from(searcher: Searcher, problem: Problem) -> int | None:
    """How many trials a study has before its searcher fits a model; None when it never does.

    Before that a batch takes milliseconds and needs no torch.
    """
    match searcher:
        case Random() | Sobol() | Grid():
            return None
        case Phased():
            if model_from(searcher.first, problem) is not None:
                return 0
            return None if model_from(searcher.then, problem) is None else searcher.after
        case AutoSearcher():
            if any(feature not in BoTorch.features for feature, _ in features_of(problem)):
                return None
            return searcher.first_trials(problem)
        case _:
            return 0
