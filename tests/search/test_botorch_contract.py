"""BoTorch is held to what every searcher promises also where it has more than one thing to mind."""

from search.problem import Objective, OutcomeConstraint
from search.searchers.aims import Cost
from search.searchers.botorch import BoTorch
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from tests.contracts.searchers import SearcherContract

QUICK = BoTorch(fit_evaluations=10, candidates=200)
TWO = (Objective(metric="loss"), Objective(metric="latency", goal="maximize"))


class TestTwoObjectives(SearcherContract):
    searcher = QUICK
    objectives = TWO
    spaces = ("choice", "log int", "nested")


class TestTwoObjectivesUnderConstraints(SearcherContract):
    searcher = Phased(first=Sobol(), then=QUICK, after=4)
    objectives = TWO
    constraints = (
        OutcomeConstraint(metric="memory", at_least=0.1, at_most=0.8),
        OutcomeConstraint(metric="latency", at_most=0.9),
    )
    spaces = ("nested",)


class TestKnowledgeGradientPerCost(SearcherContract):
    searcher = BoTorch(
        fit_evaluations=10, candidates=200, acquisition="kg", cost=Cost(metric="loss")
    )
    spaces = ("nested",)
