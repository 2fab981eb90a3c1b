"""Rows of the unit cube in which chosen parameters are active.

Most of a conditional parameter's cube is where it does not exist.  Averages over it are taken where
it does: its ancestors take the values that its conditions allow, evenly.
"""

from collections.abc import Iterator

import numpy as np

from search.encoding import Cube
from search.scales import Floats, Levels


def activated(cube: Cube, rows: Floats, parameters: list[int]) -> Floats:
    """The rows with the ancestors of these parameters moved to values that make them active.

    Snapped; rows in which they cannot all be active are left out.
    """
    moved = rows.copy()
    for parent, levels in _allowed(cube, parameters).items():
        scale = cube.scales[parent]
        assert isinstance(scale, Levels)  # a space refuses conditions on floats
        if levels:
            place = np.minimum((rows[:, parent] * len(levels)).astype(int), len(levels) - 1)
            moved[:, parent] = scale.centre(np.array(levels)[place])
    moved = cube.snap(moved)
    found: Floats = moved[cube.active(moved)[:, parameters].all(axis=1)]
    return found


def _allowed(cube: Cube, parameters: list[int]) -> dict[int, list[int]]:
    """The levels that each ancestor may take."""
    allowed: dict[int, list[int]] = {}
    for j in parameters:
        for parent, levels in _conditions(cube, j):
            known = allowed.get(parent, levels)
            allowed[parent] = [level for level in known if level in levels]
    return allowed


def _conditions(cube: Cube, j: int) -> Iterator[tuple[int, list[int]]]:
    names = [parameter.name for parameter in cube.space.parameters]
    for condition in cube.space.parameters[j].when:
        parent = names.index(condition.parameter)
        scale, parameter = cube.scales[parent], cube.space.parameters[parent]
        assert isinstance(scale, Levels)
        yield parent, sorted({int(scale.level_of(parameter.check(v))) for v in condition.values})
        yield from _conditions(cube, parent)
