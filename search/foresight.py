"""Which searchers say how much there is still to gain: for ending a study when that is little."""

from search.choices import choices
from search.problem import Problem
from search.searcher import Searcher
from search.searchers.auto import AutoSearcher
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.phased import Phased


def foresees(searcher: Searcher, problem: Problem) -> bool:
    """Whether the searcher's suggestions carry `expected_gain` in their origin, sooner or later.

    It is the improvement expected of the config over the best posterior mean, in units of the
    first objective.
    """
    several = len(problem.objectives) > 1
    if several or problem.constraints or problem.context or problem.by_preference:
        return False
    match searcher:
        case BoTorch():
            # Beliefs may keep it from where there is most to gain.
            return searcher.plain(problem) and not problem.space.believes
        case GP():
            return True
        case AutoSearcher():
            return all(foresees(choice.searcher, problem) for choice in choices(problem))
        case Phased():
            return foresees(searcher.then, problem)
        case _:
            return False
