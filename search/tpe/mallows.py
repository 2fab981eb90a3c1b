"""Kernels on the orders of a permutation: the Mallows distribution, exactly normalised.

P(order) = exp(-t d) / Z, where d is the Kendall distance to the order observed.  The digits of the
Lehmer code relative to that order are independent, digit i of n having the values 0 .. n-1-i with
odds exp(-t value), and add up to d: so Z is a product of short sums, and drawing is exact.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.orders import Orders, coded, pairs
from search.scales import Floats, Permutations
from search.tpe.kernels import Kernel

STEEPEST = 8.0  # the spread of two items then is 0.0003 of a pair
TABLE = 400


@dataclass(frozen=True, slots=True)
class Mallows(Kernel):
    """One centre and spread for each component; the prior's is even over all orders."""

    scale: Permutations
    centres: Orders
    spreads: Floats

    @classmethod
    def of(cls, scale: Permutations, u: Floats) -> "Mallows":
        """Around observed orders, each as wide on average as the nearest other is far away.

        At most a quarter of the pairs, at least 1 / min(100, components + 1) of them.
        """
        observed = scale.orders(u)
        found = pairs(observed)
        apart = _apart(found, found)
        np.fill_diagonal(apart, np.inf)
        nearest = apart.min(axis=1, initial=math.inf)
        most = found.shape[1]
        wide = np.clip(nearest, most / min(100.0, len(u) + 2.0), most / 4)
        centres = np.concatenate([observed, np.arange(len(scale.items))[None]])
        return cls(scale, centres, np.append(_spreads(wide, len(scale.items)), 0.0))

    def draw(self, which: npt.NDArray[np.intp], rng: np.random.Generator) -> Floats:
        values = np.arange(len(self.scale.items))
        odds = np.exp(-self.spreads[which, None] * values).cumsum(axis=1)
        ends = odds[:, ::-1]  # of the digits: the first has all values, the last one only
        drawn = rng.random(ends.shape) * ends
        digits = (odds[:, None, :] < drawn[:, :, None]).sum(axis=2)
        relative = coded(digits.astype(np.int64))
        return self.scale.centres(np.take_along_axis(self.centres[which], relative, axis=1))

    def log_density(self, u: Floats) -> Floats:
        apart = _apart(pairs(self.scale.orders(u)), pairs(self.centres))
        values = np.arange(len(self.scale.items))
        sums = np.exp(-self.spreads[:, None] * values).cumsum(axis=1)
        return np.asarray(-self.spreads * apart - np.log(sums).sum(axis=1))


def _apart(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> Floats:
    """The Kendall distances of orders given by their pairs."""
    signs = [np.where(found, 1.0, -1.0) for found in (a, b)]
    return np.asarray(0.5 * (a.shape[1] - signs[0] @ signs[1].T))


def _spreads(distances: Floats, items: int) -> Floats:
    """The t at which orders lie so far away on average; between those of a table."""
    t = np.linspace(0.0, STEEPEST, TABLE)
    odds = np.exp(-t[:, None] * np.arange(items))
    means = (odds * np.arange(items)).cumsum(axis=1) / odds.cumsum(axis=1)
    return np.interp(distances, means.sum(axis=1)[::-1], t[::-1])
