"""The population searchers against the contract of every searcher."""

from search.searchers.cmaes import CMAES
from search.searchers.evolution import Evolution
from search.searchers.nsga2 import NSGA2
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from tests.contracts.searchers import SearcherContract


class TestCMAES(SearcherContract):
    searcher = CMAES(population=4)


class TestBIPOP(SearcherContract):
    searcher = CMAES(population=4, restarts="bipop", x0="defaults")
    spaces = ("float", "step", "nested")


class TestSeparable(SearcherContract):
    searcher = CMAES(population=4, separable_above=1)
    spaces = ("float", "step", "fixed", "nested")


class TestPhasedCMAES(SearcherContract):
    searcher = Phased(first=Sobol(), then=CMAES(population=4), after=5)
    spaces = ("float", "nested")


class TestEvolution(SearcherContract):
    searcher = Evolution(population=6, sample=3)


class TestNSGA2(SearcherContract):
    searcher = NSGA2(population=4)
