"""Partial dependence: the model along one or two parameters, averaged over the others.

Friedman, "Greedy Function Approximation", 2001, section 8.2.  The others are spread evenly over
what may be tried together with the value: the ancestors of a conditional parameter over the values
with which it is active, the terms of a linear constraint over what the value leaves them.  That is
the expected value given the parameter's, where all that may be tried is equally likely.

An order has no value to go along: instead each of its items goes from the first to the last
position, and the rest keep their order.
"""

from collections.abc import Sequence

import numpy as np

from search.encoding import Cube
from search.explain.explanation import Dependence, PairDependence
from search.explain.landscape import Landscape
from search.explain.spread import Spread
from search.scales import Floats, Levels, Permutations
from search.values import Value

CURVE, GRID = 21, 9  # values of a number: along a curve, and along each side of a grid
MOST_CURVES = 20
FEWEST, MOST = 16, 128  # configs averaged over
LIMIT = 6_000_000_000  # multiplications in all the solves for the curves


def affordable(model: Landscape, spread: Spread, parameters: list[int]) -> int:
    """Over how many configs to average, so that curves for these parameters stay in reach."""
    values = sum(_looks(spread, j) for j in parameters)
    return int(min(MOST, max(FEWEST, LIMIT // (len(model) ** 2 * max(1, values)))))


def curves(model: Landscape, spread: Spread, base: Floats, j: int) -> list[Dependence]:
    """Along parameter j: none if it is never active, one for each item of a permutation."""
    parameter, scale = model.cube.space.parameters[j], model.cube.scales[j]
    if isinstance(scale, Permutations):
        return _positions(model, spread, base, j, scale)
    places = [float(u) for u in levels(spread, j, CURVE)]
    parts = [(scale.value(u), spread.at(base, {j: u})) for u in places]
    found = _curve(model, parameter.name, [(value, rows) for value, rows in parts if len(rows)])
    return [] if found is None else [found]


def _positions(
    model: Landscape, spread: Spread, base: Floats, j: int, scale: Permutations
) -> list[Dependence]:
    name, orders = model.cube.space.parameters[j].name, scale.orders(base[:, j])
    found: list[Dependence | None] = []
    for place, item in enumerate(scale.items):
        rest = orders[orders != place].reshape(len(orders), -1)
        parts: list[tuple[Value, Floats]] = []
        for position in range(len(scale.items)):
            rows = base.copy()
            rows[:, j] = scale.centres(np.insert(rest, position, place, axis=1))
            parts.append((position + 1, spread.active(rows, j)))
        kept = [(position, rows) for position, rows in parts if len(rows)]
        found.append(_curve(model, name, kept, item=str(item)))
    return [one for one in found if one is not None]


def _curve(
    model: Landscape, name: str, parts: Sequence[tuple[Value, Floats]], item: str | None = None
) -> Dependence | None:
    if not parts:
        return None
    mean, sd = model.moments(np.concatenate([rows for _, rows in parts]))
    ends = np.cumsum([len(rows) for _, rows in parts])[:-1]
    return Dependence(
        parameter=name,
        item=item,
        values=[value for value, _ in parts],
        mean=[model.metric(float(part.mean())) for part in np.split(mean, ends)],
        sd=[float(part.mean()) * model.scale for part in np.split(sd, ends)],
        configs=min(len(rows) for _, rows in parts),
    )


def pair(model: Landscape, spread: Spread, base: Floats, i: int, k: int) -> PairDependence | None:
    """Along parameters i and k; None if they are never active together."""
    cube = model.cube
    sides = [[float(u) for u in levels(spread, j, GRID)] for j in (i, k)]
    parts = [spread.at(base, {i: u, k: v}) for u in sides[0] for v in sides[1]]
    if not any(map(len, parts)):
        return None
    mean = model.mean(np.concatenate(parts))
    split = np.split(mean, np.cumsum([len(rows) for rows in parts])[:-1])
    cells = [model.metric(float(part.mean())) if len(part) else None for part in split]
    width = len(sides[1])
    return PairDependence(
        row_parameter=cube.space.parameters[i].name,
        column_parameter=cube.space.parameters[k].name,
        rows=[cube.scales[i].value(u) for u in sides[0]],
        columns=[cube.scales[k].value(v) for v in sides[1]],
        mean=[cells[start : start + width] for start in range(0, len(cells), width)],
        configs=min(len(rows) for rows in parts if len(rows)),
    )


def levels(spread: Spread, j: int, most: int) -> Floats:
    """Where to look at a parameter: every choice without order, at most `most` places otherwise."""
    scale, (low, high) = spread.cube.scales[j], spread.extent(j)
    if not isinstance(scale, Levels):
        return np.linspace(low, high, most if high > low else 1)
    first, last = int(scale.level(low)), int(scale.level(high))
    count = last - first + 1
    few = most if count > most and _ordered(spread.cube, j) else count
    chosen = np.unique(np.round(np.linspace(first, last, few)))
    return np.asarray(scale.centre(chosen), dtype=np.float64)


def _looks(spread: Spread, j: int) -> int:
    scale = spread.cube.scales[j]
    if isinstance(scale, Permutations):
        return len(scale.items) ** 2
    return len(levels(spread, j, CURVE))


def _ordered(cube: Cube, j: int) -> bool:
    return getattr(cube.space.parameters[j], "ordered", True)
