"""Orders of a few items as arrays: their ranks, how far apart two are, and which are neighbours.

An order of n items is a row holding 0 .. n-1, the item in each position.  Its rank among all n! is
that of its Lehmer code: the digit of a position counts the later positions that hold a lower item,
in the factorial number system (Knuth, "The Art of Computer Programming", volume 2, section 4.1).
The Kendall distance of two orders counts the pairs of items that they have the other way round.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Orders: TypeAlias = npt.NDArray[np.int64]


def ranked(orders: Orders) -> Orders:
    """The rank of each row, from 0, the identity, to n! - 1, its reverse."""
    count = orders.shape[1]
    later = np.triu(np.ones((count, count), dtype=np.bool_), 1)
    digits = ((orders[:, None, :] < orders[:, :, None]) & later).sum(axis=2)
    return np.asarray(digits @ _places(count))


def unranked(ranks: npt.ArrayLike, count: int) -> Orders:
    """The orders of `count` items that have these ranks."""
    places = _places(count)
    digits = np.asarray(ranks, dtype=np.int64)[:, None] // places % np.arange(count, 0, -1)
    return coded(digits)


def coded(digits: Orders) -> Orders:
    """The orders that have these Lehmer codes; their digits add up to the inverted pairs."""
    orders = digits.copy()
    for position in range(orders.shape[1] - 2, -1, -1):
        # Of the items not used before, the digit's is next: later ones from there on move up.
        later = orders[:, position + 1 :]
        later += later >= orders[:, position, None]
    return orders


def pairs(orders: Orders) -> npt.NDArray[np.bool_]:
    """For each pair of items a < b, in the order of combinations, whether b stands before a.

    Two rows differ in as many columns as their Kendall distance.
    """
    position = np.argsort(orders, axis=1)
    first, second = np.triu_indices(orders.shape[1], 1)
    return np.asarray(position[:, first] > position[:, second])


def neighbours(orders: Orders, reach: Orders, rng: np.random.Generator) -> Orders:
    """A neighbour of each row: two items `reach` positions apart swapped, or one moved so far.

    Either has even chances.  With a reach of 1 both are a swap of items next to each other, which
    is the least change there is: one pair the other way round.
    """
    count = orders.shape[1]
    rows = np.arange(len(orders))
    start = rng.integers(0, count - reach)
    end = start + reach
    turned = rng.random(len(orders)) < 0.5
    start, end = np.where(turned, end, start), np.where(turned, start, end)
    swapped = orders.copy()
    swapped[rows, start], swapped[rows, end] = orders[rows, end], orders[rows, start]
    keys = np.tile(np.arange(count, dtype=np.float64), (len(orders), 1))
    keys[rows, start] = end + np.where(end > start, 0.5, -0.5)
    inserted = np.take_along_axis(orders, np.argsort(keys, axis=1), axis=1)
    return np.where((rng.random(len(orders)) < 0.5)[:, None], swapped, inserted)


def blended(first: Orders, second: Orders, rng: np.random.Generator) -> Orders:
    """An order from each two: whatever pair of items both have one way round, it has that way too.

    The next item is the first of either, by even chances, that is not there yet: precedence
    preservative crossover (Bierwirth, Mattfeld and Kopfer, "On Permutation Representations for
    Scheduling Problems", 1996, section 3.3).
    """
    rows = np.arange(len(first))
    from_first = rng.random(first.shape) < 0.5
    used = np.zeros(first.shape, dtype=np.bool_)
    child = np.empty_like(first)
    for position in range(first.shape[1]):
        a, b = _next(first, used), _next(second, used)
        child[:, position] = np.where(from_first[:, position], a, b)
        used[rows, child[:, position]] = True
    return child


def _next(orders: Orders, used: npt.NDArray[np.bool_]) -> Orders:
    """The first item of each row that is not used; `used` goes by item."""
    place = np.take_along_axis(used, orders, axis=1).argmin(axis=1)
    return np.asarray(orders[np.arange(len(orders)), place])


def _places(count: int) -> Orders:
    return np.array([math.factorial(k) for k in range(count - 1, -1, -1)], dtype=np.int64)
