"""BoTorch is held to what every searcher promises also where it has more than one thing to mind."""

from search.problem import Objective, OutcomeConstraint
from search.searchers.aims import Cost, Risk
from search.searchers.botorch import BoTorch
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from tests.contracts.searchers import SearcherContract
from tests.contracts.spaces import SPACES, TINY

TWO = (Objective(metric="loss"), Objective(metric="latency", goal="maximize"))


SOME = ("nested", "permutation")
SPREAD = ("choice", "log int", "nested", "permutation")


def quick(**settings):
    """Little work for a suggestion, and Sobol points to begin with."""
    model = BoTorch(fit_evaluations=10, candidates=100, **settings)
    return Phased(first=Sobol(), then=model, after=9)


class TestTwoObjectives(SearcherContract):
    searcher = quick()
    objectives = TWO
    spoilt = SOME


class TestParEGO(SearcherContract):
    spaces, spoilt = SPREAD, SOME
    searcher = quick(acquisition="parego")
    objectives = TWO


class TestTwoObjectivesUnderConstraints(SearcherContract):
    spaces, spoilt = SPREAD, SOME
    searcher = quick()
    objectives = TWO
    constraints = (
        OutcomeConstraint(metric="memory", at_least=0.1, at_most=0.8),
        OutcomeConstraint(metric="latency", at_most=0.9),
    )


class TestOneObjectiveUnderConstraints(SearcherContract):
    searcher = quick()
    constraints = (OutcomeConstraint(metric="memory", at_most=0.8),)
    spaces, spoilt = SPREAD, SOME


class TestKnowledgeGradientPerCost(SearcherContract):
    spaces, spoilt = SPREAD, SOME
    searcher = quick(acquisition="kg", cost=Cost(metric="loss"))


class TestMaxValueEntropySearch(SearcherContract):
    spaces, spoilt = SPREAD, SOME
    searcher = quick(acquisition="mes")


class TestJointEntropySearch(SearcherContract):
    spaces, spoilt = SPREAD, SOME
    searcher = quick(acquisition="jes")


class TestInputNoise(SearcherContract):
    """On the spaces that have what wavers."""

    searcher = quick(input_noise={"x": 0.05}, risk=Risk(measure="value_at_risk", level=0.8))
    spaces = ("float", "bool", "permutation")
    refuses = tuple(sorted({*SPACES, *TINY} - {*spaces}))
