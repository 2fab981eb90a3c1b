"""The population searchers against the contract of every searcher; `tpe` with several metrics."""

from search.problem import Objective, OutcomeConstraint
from search.searchers.cmaes import CMAES
from search.searchers.evolution import Evolution
from search.searchers.nsga2 import NSGA2
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from search.searchers.tpe import TPE
from tests.contracts.searchers import SearcherContract

TWO = (Objective(metric="loss"), Objective(metric="latency", goal="maximize"))
BOUNDS = (
    OutcomeConstraint(metric="memory", at_least=0.1, at_most=0.8),
    OutcomeConstraint(metric="latency", at_most=0.9),
)
ORDERS = ("permutation", "tiny permutation")


class TestCMAES(SearcherContract):
    searcher = CMAES(population=4)
    refuses = ORDERS


class TestBIPOP(SearcherContract):
    searcher = CMAES(population=4, restarts="bipop", x0="defaults")
    refuses = ORDERS
    spaces = ("float", "step", "nested")


class TestSeparable(SearcherContract):
    searcher = CMAES(population=4, separable_above=1)
    refuses = ORDERS
    spaces = ("float", "step", "fixed", "nested")


class TestPhasedCMAES(SearcherContract):
    searcher = Phased(first=Sobol(), then=CMAES(population=4), after=5)
    refuses = ORDERS
    spaces = ("float", "nested")


class TestEvolution(SearcherContract):
    searcher = Evolution(population=6, sample=3)


class TestNSGA2(SearcherContract):
    searcher = NSGA2(population=4)


class TestNSGA2TwoObjectives(SearcherContract):
    searcher = NSGA2(population=4)
    objectives = TWO


class TestNSGA2TwoObjectivesUnderConstraints(SearcherContract):
    searcher = NSGA2(population=4)
    objectives = TWO
    constraints = BOUNDS


class TestTPETwoObjectives(SearcherContract):
    searcher = TPE(initial=6)
    objectives = TWO


class TestTPEUnderConstraints(SearcherContract):
    searcher = TPE(initial=6)
    constraints = BOUNDS
