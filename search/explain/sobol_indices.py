"""Importance by the variance of a function: Sobol' indices.

First order, Var(E(f | x_i)) / Var(f), by the estimator of Saltelli and others, "Variance based
sensitivity analysis of model output", 2010, table 2 (b); total, E(Var(f | x_~i)) / Var(f), by
Jansen's, (f).  Both take N (p + 2) evaluations: of two samples A and B, and of A with one
column after the other from B.

Where constraints tie coordinates together the definitions stay and the estimators change:
E(f | x_i) is a mean over the sample's rows with about that x_i (Plischke, Borgonovo and Smith,
"Global sensitivity measures from given data", 2013), and x_i is redrawn from what the others leave
of it (Kucherenko, Tarantola and Annoni, "Estimation of global sensitivity indices for models with
dependent variables", 2012).  First order then counts what x_i tells through the others as well, and
may exceed the total, which is 0 for a coordinate that the others determine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats.qmc import Sobol

from search.explain.spread import Spread
from search.scales import Floats

FEWEST, MOST = 64, 2048  # rows in each of the two samples
GROUPS, FEWEST_IN_GROUP = 32, 16
SMALLEST_VARIANCE = 1e-10  # in standard units: less is rounding


@dataclass(frozen=True, slots=True)
class Indices:
    """For each coordinate, within [0, 1]."""

    first: Floats
    total: Floats

    @property
    def largest(self) -> Floats:
        """What coordinates are ranked by: the total, or the first order where that is larger."""
        found: Floats = np.maximum(self.first, self.total)
        return found


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


def indices_within(
    function: Callable[[Floats], Floats],
    spread: Spread,
    columns: list[int],
    samples: int,
    rng: np.random.Generator,
) -> Indices:
    """Of a function of rows of a constrained cube, for some of their columns."""
    rows = spread.rows(2 * samples)
    first, total = np.zeros(len(columns)), np.zeros(len(columns))
    values = function(rows) if len(rows) else np.zeros(1)
    variance = float(np.var(values))
    if variance < SMALLEST_VARIANCE:
        return Indices(first, total)
    half = (len(rows) + 1) // 2
    for place, j in enumerate(columns):
        first[place] = _told_by(rows[:, j], values)
        moved = function(spread.redrawn(rows[:half], j, rng))
        total[place] = np.mean(np.square(moved - values[:half])) / (2.0 * variance)
    return Indices(np.clip(first, 0.0, 1.0), np.clip(total, 0.0, 1.0))


def _told_by(u: Floats, values: Floats) -> float:
    """The part of the variance between groups of about the same u, less what chance makes it."""
    groups = max(1, min(GROUPS, len(u) // FEWEST_IN_GROUP))
    known, group = np.unique(u, return_inverse=True)
    if len(known) > groups:
        group = np.empty(len(u), dtype=int)
        group[np.argsort(u, kind="stable")] = np.arange(len(u)) * groups // len(u)
    sizes = np.bincount(group)
    means = np.bincount(group, values) / sizes
    within = float(np.mean(np.square(values - means[group])) / np.var(values))
    return 1.0 - within * (len(u) - 1) / max(1, len(u) - len(sizes))


def affordable(columns: int, cost: int, limit: int) -> int:
    """The largest sample, a power of two, whose evaluations at this cost keep within the limit."""
    rows = MOST
    while rows > FEWEST and rows * (columns + 2) * cost > limit:
        rows //= 2
    return rows
