"""What several searchers cannot serve, in the words that say so."""

from search.parameters import PermutationParameter
from search.problem import Problem
from search.searcher import Objection


def no_permutations(problem: Problem) -> tuple[Objection, ...]:
    """That of a searcher for which values lie on lines: the ranks of orders lie on none."""
    orders = [p for p in problem.space.parameters if isinstance(p, PermutationParameter)]
    return tuple(
        Objection(reason=f"it does not take permutations, such as {p.name!r}") for p in orders[:1]
    )
