"""The trials that no other beats in every respect."""

from collections.abc import Iterable, Sequence

from search.best import eligible
from search.problem import Problem
from search.trial import Trial


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether losses `a` are nowhere higher than `b`, and somewhere lower."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


def non_dominated(losses: Sequence[Sequence[float]]) -> list[int]:
    """The places, in order, of the losses that no other dominates.

    In lexicographic order nothing is dominated by what comes after it, so each is compared with
    the front so far only.
    """
    front: list[int] = []
    for place in sorted(range(len(losses)), key=lambda k: tuple(losses[k])):
        if not any(dominates(losses[other], losses[place]) for other in front):
            front.append(place)
    return sorted(front)


def pareto_front(problem: Problem, trials: Iterable[Trial]) -> list[Trial]:
    """The completed trials that meet the outcome constraints and that no other dominates."""
    candidates = eligible(problem, trials)
    front = non_dominated([found for _, found in candidates])
    return [candidates[place][0] for place in front]
