"""Partial dependence: the model along one or two parameters, averaged over the others.

Friedman, "Greedy Function Approximation", 2001, section 8.2.  The others are spread evenly over the
cube, the ancestors of a conditional parameter over the values with which it is active.
"""

import numpy as np
from scipy.stats.qmc import Sobol

from search.encoding import Cube
from search.explain.activation import activated
from search.explain.explanation import Dependence, PairDependence
from search.explain.landscape import Landscape
from search.scales import Floats, Levels

CURVE, GRID = 21, 9  # values of a number: along a curve, and along each side of a grid
MOST_CURVES = 20
FEWEST, MOST = 16, 128  # configs averaged over
LIMIT = 6_000_000_000  # multiplications in all the solves for the curves


def sample(cube: Cube, size: int, rng: np.random.Generator) -> Floats:
    """Rows that are spread evenly over the cube, as many as the next power of two."""
    found: Floats = Sobol(cube.width, rng=rng).random_base2(max(0, (size - 1).bit_length()))
    return found


def affordable(model: Landscape, parameters: list[int]) -> int:
    """Over how many configs to average, so that curves for these parameters stay in reach."""
    cube = model.cube
    values = sum(len(levels(cube, j, CURVE)) for j in parameters)
    return int(min(MOST, max(FEWEST, LIMIT // (len(model) ** 2 * max(1, values)))))


def curve(model: Landscape, base: Floats, j: int) -> Dependence | None:
    """Along parameter j; None if it is never active."""
    cube = model.cube
    rows, places = activated(cube, base, [j]), levels(cube, j, CURVE)
    if not len(rows):
        return None
    spread = np.tile(rows, (len(places), 1))
    spread[:, j] = np.repeat(places, len(rows))
    mean, sd = (found.reshape(len(places), -1) for found in model.moments(spread))
    return Dependence(
        parameter=cube.space.parameters[j].name,
        values=[cube.scales[j].value(float(u)) for u in places],
        mean=[model.metric(float(y)) for y in mean.mean(axis=1)],
        sd=[float(one) * model.scale for one in sd.mean(axis=1)],
        configs=len(rows),
    )


def pair(model: Landscape, base: Floats, i: int, k: int) -> PairDependence | None:
    """Along parameters i and k; None if they are never active together."""
    cube = model.cube
    rows = activated(cube, base, [i, k])
    if not len(rows):
        return None
    sides = levels(cube, i, GRID), levels(cube, k, GRID)
    grid = np.array([(u, v) for u in sides[0] for v in sides[1]])
    spread = np.tile(rows, (len(grid), 1))
    spread[:, i], spread[:, k] = np.repeat(grid, len(rows), axis=0).T
    mean = model.mean(spread).reshape(len(grid), -1).mean(axis=1)
    alive = cube.active(cube.snap(spread))[:, [i, k]].all(axis=1)
    exists = np.all(alive.reshape(len(grid), -1), axis=1)
    cells = [
        model.metric(float(y)) if e else None
        for y, e in zip(mean, np.atleast_1d(exists), strict=True)
    ]
    width = len(sides[1])
    return PairDependence(
        row_parameter=cube.space.parameters[i].name,
        column_parameter=cube.space.parameters[k].name,
        rows=[cube.scales[i].value(float(u)) for u in sides[0]],
        columns=[cube.scales[k].value(float(v)) for v in sides[1]],
        mean=[cells[start : start + width] for start in range(0, len(cells), width)],
        configs=len(rows),
    )


def levels(cube: Cube, j: int, most: int) -> Floats:
    """Where to look at a parameter: every choice without order, at most `most` places otherwise."""
    scale = cube.scales[j]
    if isinstance(scale, Levels):
        few = most if scale.count > most and _ordered(cube, j) else scale.count
        chosen = np.unique(np.round(np.linspace(0, scale.count - 1, few)))
        return np.asarray(scale.centre(chosen), dtype=np.float64)
    return np.linspace(0.0, 1.0, most)


def _ordered(cube: Cube, j: int) -> bool:
    return getattr(cube.space.parameters[j], "ordered", True)
