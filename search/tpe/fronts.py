"""The best of many trials with several objectives: front after front, then by hypervolume.

Ozaki and others, "Multiobjective Tree-Structured Parzen Estimator", 2022.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.stats.qmc import Sobol

from search.scales import Floats

BLOCK = 1000  # trials compared with each other at a time: the cost is its square
POINTS = 2048  # that hypervolumes are counted in: they agree to a few percent


def foremost(losses: Floats, count: int) -> list[int]:
    """The places, in order, of the `count` best rows of losses; of all, if there are fewer.

    Ranks by non-domination.  Of the first front that does not fit, those are kept that together
    cover the largest hypervolume, chosen one after the other.  With one objective these are the
    lowest losses, and of equal ones the earliest.
    """
    if not len(losses):
        return []
    if losses.shape[1] == 1:
        return sorted(np.argsort(losses[:, 0], kind="stable")[:count].tolist())
    places = np.arange(len(losses))
    while len(places) > BLOCK > count:
        blocks = np.array_split(places, -(-len(places) // BLOCK))
        places = np.concatenate([block[_among(losses[block], count)] for block in blocks])
    return sorted(places[_among(losses[places], count)].tolist())


def _among(losses: Floats, count: int) -> list[int]:
    chosen: list[int] = []
    for front in fronts(losses):
        room = count - len(chosen)
        chosen += front if len(front) <= room else _widest(losses[front], front, room)
        if len(chosen) == count:
            break
    return chosen


def fronts(losses: Floats) -> Iterator[list[int]]:
    """The places of rows that no other dominates, then of those that only the former do, ..."""
    # Nothing is dominated by what comes after it in lexicographic order.
    left = np.lexsort(losses.T[::-1])
    while len(left):
        front: list[int] = []
        rest = left
        while len(rest):
            first, rest = rest[0], rest[1:]
            front.append(int(first))
            rest = rest[~_dominated(losses[first], losses[rest])]
        yield front
        left = left[~np.isin(left, front)]


def _dominated(by: Floats, losses: Floats) -> npt.NDArray[np.bool_]:
    """Which rows are nowhere lower than `by`, and somewhere higher."""
    return np.asarray((losses >= by).all(axis=1) & (losses > by).any(axis=1))


def _widest(losses: Floats, front: list[int], count: int) -> list[int]:
    """The `count` of the front that cover most, the one that adds most first."""
    low, high = losses.min(axis=0), losses.max(axis=0)
    # A reference a tenth beyond the worst, so that the ends of the front cover something.
    unit = (losses - low) / np.where(high > low, 1.1 * (high - low), 1.0)
    points = Sobol(losses.shape[1], scramble=False).random(POINTS)
    covers = (unit[:, None, :] <= points).all(axis=2)
    chosen: list[int] = []
    for _ in range(count):
        gain = np.where(np.isin(np.arange(len(front)), chosen), -1, covers.sum(axis=1))
        chosen.append(int(np.argmax(gain)))
        covers &= ~covers[chosen[-1]]
    return [front[place] for place in chosen]
