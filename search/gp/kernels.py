"""Correlations as functions of a squared scaled distance s = r^2, and their slopes.

Squared exponential  exp(-s/2); Matern with smoothness 5/2  (1 + t + t^2/3) exp(-t), t = sqrt(5 s).
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 4.2.1.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from search.scales import Floats


class Kernel(ABC):
    """A stationary correlation."""

    name: ClassVar[str]

    @abstractmethod
    def correlation(self, s: Floats) -> Floats:
        """The correlation at squared distances."""

    @abstractmethod
    def with_slope(self, s: Floats) -> tuple[Floats, Floats]:
        """The correlation c and -2 dc/ds, which has no singularity at 0.

        A length scale l_i takes part by s = sum_i D_i / l_i^2, so dc / d ln l_i is the slope
        times D_i / l_i^2.
        """


@final
@dataclass(frozen=True, slots=True)
class SquaredExponential(Kernel):
    """Infinitely smooth."""

    name: ClassVar[str] = "rbf"

    def correlation(self, s: Floats) -> Floats:
        found: Floats = s * -0.5
        return np.exp(found, out=found)

    def with_slope(self, s: Floats) -> tuple[Floats, Floats]:
        c = np.exp(-0.5 * s)
        return c, c


@final
@dataclass(frozen=True, slots=True)
class Matern52(Kernel):
    """Twice differentiable."""

    name: ClassVar[str] = "matern52"

    def correlation(self, s: Floats) -> Floats:
        t: Floats = s * 5.0
        np.sqrt(t, out=t)
        # (1 + t + t^2/3) exp(-t).  A fresh array may cost more than all that is computed in it.
        found: Floats = t * (1.0 / 3.0)
        found += 1.0
        found *= t
        found += 1.0
        np.negative(t, out=t)
        found *= np.exp(t, out=t)
        return found

    def with_slope(self, s: Floats) -> tuple[Floats, Floats]:
        t = np.sqrt(5.0 * s)
        decay = np.exp(-t)
        slope = (1.0 + t) * decay
        return slope + t * t / 3.0 * decay, 5.0 / 3.0 * slope


RBF, MATERN = SquaredExponential(), Matern52()


def squared_distances(A: Floats, B: Floats) -> Floats:
    """Between the rows of two sets of scaled points, |A| x |B|."""
    # |a|^2 - 2 a'b + |b|^2 as one product: what follows has one pass to make and not three.
    a, b = (np.square(rows).sum(axis=1, keepdims=True) for rows in (A, B))
    left = np.concatenate([-2.0 * A, a, np.ones_like(a)], axis=1)
    s: Floats = left @ np.concatenate([B, np.ones_like(b), b], axis=1).T
    return np.maximum(s, 0.0, out=s)


def by_group(X: Floats, owners: list[int]) -> Floats:
    """The squared distances of all pairs of rows j < i, one row for each group of columns.

    p x n(n-1)/2, pairs in the order of `pairs`.  Taken by differences and not by products, so that
    rows which are equal are 0 apart.
    """
    rows, columns = pairs(len(X))
    D = np.zeros((max(owners) + 1, len(rows)))
    for column, owner in enumerate(owners):
        x = X[:, column]
        D[owner] += np.square(x[rows] - x[columns])
    return D


def pairs(n: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], ...]:
    """The places i, j of the strictly lower triangle."""
    return np.tril_indices(n, -1)
