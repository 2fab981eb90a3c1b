"""Importance by the variance of a function of independent coordinates: Sobol' indices.

First order, Var(E(f | x_i)) / Var(f), by the estimator of Saltelli and others, "Variance based
sensitivity analysis of model output", 2010, table 2 (b); total, E(Var(f | x_~i)) / Var(f), by
Jansen's, (f).  Both take N (p + 2) evaluations: of two samples A and B, and of A with one
column after the other from B.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats.qmc import Sobol

from search.scales import Floats

FEWEST, MOST = 64, 2048  # rows in each of the two samples
SMALLEST_VARIANCE = 1e-10  # in standard units: less is rounding


@dataclass(frozen=True, slots=True)
class Indices:
    """For each coordinate, within [0, 1]."""

    first: Floats
    total: Floats


def indices(
    function: Callable[[Floats], Floats], columns: int, samples: int, rng: np.random.Generator
) -> Indices:
    """Of a function of rows in the unit cube; `samples` is a power of two."""
    both = Sobol(2 * columns, rng=rng).random(samples)
    A, B = both[:, :columns], both[:, columns:]
    fA, fB = function(A), function(B)
    variance = float(np.var(np.concatenate([fA, fB])))
    first, total = np.zeros(columns), np.zeros(columns)
    if variance < SMALLEST_VARIANCE:
        return Indices(first, total)
    centre = float(np.mean(np.concatenate([fA, fB])))
    for i in range(columns):
        mixed = A.copy()
        mixed[:, i] = B[:, i]
        fAB = function(mixed)
        first[i] = np.mean((fB - centre) * (fAB - fA)) / variance
        total[i] = np.mean(np.square(fAB - fA)) / (2.0 * variance)
    return Indices(np.clip(first, 0.0, 1.0), np.clip(total, 0.0, 1.0))


def affordable(columns: int, cost: int, limit: int) -> int:
    """The largest sample, a power of two, whose evaluations at this cost keep within the limit."""
    rows = MOST
    while rows > FEWEST and rows * (columns + 2) * cost > limit:
        rows //= 2
    return rows
