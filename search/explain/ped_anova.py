"""Importance by what sets the best trials apart: no model of the metric is needed.

For each parameter, the density p of its values among the best trials is compared with the density q
among all of them: D = sum q (p / q - 1)^2, Pearson's divergence, is what is left of the variance of
"is among the best" when only this parameter is looked at.  Watanabe, Bansal and Hutter, "PED-ANOVA:
Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", 2023, equation 7 and
theorem 2.  The densities are kernel estimates, cut off at the bounds of the parameter's own scale;
a choice without order has counts instead.  Each holds one more observation that lies anywhere.

A conditional parameter is judged by the trials in which it is active, an order by the positions of
its items.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from search.encoding import Cube
from search.parameters import ChoiceParameter, IntParameter
from search.scales import Floats, Permutations
from search.space import SearchSpace

BEST_SHARE = 0.1
FEWEST_BEST = 5
FEWEST = 10  # trials, to say anything
CELLS = 64
NARROWEST = 0.01  # bandwidth: a hundredth of the scale


@dataclass(frozen=True, slots=True)
class Divergence:
    """Of one parameter; `value` is None where too few trials tell."""

    value: float | None
    trials: int
    best: int


def divergences(cube: Cube, rows: Floats, losses: Floats) -> list[Divergence]:
    """One for each parameter of the space, from snapped rows and their finite losses."""
    active = cube.active(rows)
    return [
        _divergence(cube, j, rows[active[:, j], j], losses[active[:, j]]) for j in range(cube.width)
    ]


def shares(found: list[Divergence]) -> list[float | None]:
    """Each parameter's part of the sum; 0 for all when nothing sets the best apart."""
    total = sum(one.value or 0.0 for one in found)
    return [None if one.value is None else one.value / (total or 1.0) for one in found]


def _divergence(cube: Cube, j: int, u: Floats, losses: Floats) -> Divergence:
    scale, n = cube.scales[j], len(u)
    if isinstance(scale, Permutations):
        return _of_order(scale, u, losses)
    if n < FEWEST:
        return Divergence(None, n, 0)
    best = max(math.ceil(BEST_SHARE * n), FEWEST_BEST)
    if scale.count == 1 or losses.min() == losses.max():
        return Divergence(0.0, n, best)
    top = u[np.argsort(losses, kind="stable")[:best]]
    p, q = density(cube, j, top), density(cube, j, u)
    return Divergence(float(np.sum(q * np.square(p / q - 1.0))), n, best)


def _of_order(scale: Permutations, u: Floats, losses: Floats) -> Divergence:
    """The mean of those of its items' positions.

    The largest would be that of the luckiest item: of parameters without any effect, an order
    would then seem to matter most.
    """
    count = len(scale.items)
    cube = Cube(SearchSpace(parameters=[IntParameter(name="position", low=1, high=count)]))
    positions = (np.argsort(scale.orders(u), axis=1) + 0.5) / count
    found = [_divergence(cube, 0, positions[:, item], losses) for item in range(count)]
    known = [one.value for one in found if one.value is not None]
    return replace(found[0], value=sum(known) / len(known)) if known else found[0]


def density(cube: Cube, j: int, u: Floats) -> Floats:
    """The probability of each cell of a parameter's scale, given where observations lie."""
    support, prior = _cells(cube, j)
    parameter = cube.space.parameters[j]
    if isinstance(parameter, ChoiceParameter) and not parameter.ordered:
        kernels = (support == u[:, None]).astype(float)
    else:
        kernels = prior * np.exp(-0.5 * np.square((support - u[:, None]) / _bandwidth(u)))
    kernels /= kernels.sum(axis=1, keepdims=True)
    found: Floats = (kernels.sum(axis=0) + prior) / (len(u) + 1)
    return found


def _cells(cube: Cube, j: int) -> tuple[Floats, Floats]:
    """Where the cells of a scale lie, and how wide they are."""
    scale, parameter = cube.scales[j], cube.space.parameters[j]
    choice = isinstance(parameter, ChoiceParameter) and not parameter.ordered
    if scale.count is not None and (choice or scale.count <= CELLS):
        fine = max(CELLS, 4 * scale.count) * 16
        support, sizes = np.unique(scale.snap((np.arange(fine) + 0.5) / fine), return_counts=True)
        return support, sizes / fine
    return (np.arange(CELLS) + 0.5) / CELLS, np.full(CELLS, 1.0 / CELLS)


def _bandwidth(u: Floats) -> float:
    """Scott's rule, by the smaller of two measures of spread."""
    quarter = np.subtract(*np.quantile(u, [0.75, 0.25])) / 1.34
    spread = min(float(np.std(u)), float(quarter)) or float(np.std(u))
    return float(max(NARROWEST, 1.059 * spread * len(u) ** -0.2))
