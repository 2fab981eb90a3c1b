"""A search space against arrays in the unit cube, both ways.

A row has one coordinate per parameter, in the order of the space; scales.py says how a coordinate
becomes a value.  The coordinate of an inactive parameter means nothing: decode never reads it, and
encode and snap set it to INACTIVE, so that equal configs are equal rows.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from search.orders import pairs
from search.parameters import ChoiceParameter, Condition, Parameter
from search.scales import Floats, Levels, Permutations, Scale, scale_of
from search.space import SearchSpace, is_active
from search.values import Config, Value, canonical_json

Mask: TypeAlias = npt.NDArray[np.bool_]

INACTIVE = 0.5


class Cube:
    """The unit cube of one space, with its scales worked out once."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.scales: list[Scale] = [scale_of(parameter) for parameter in space.parameters]
        self._column = {p.name: j for j, p in enumerate(space.parameters)}

    @property
    def width(self) -> int:
        """The number of coordinates: one for every parameter."""
        return len(self.scales)

    def decode(self, row: Sequence[float] | Floats) -> dict[str, Value]:
        """The config at a row."""
        config: dict[str, Value] = {}
        for parameter, scale, u in zip(self.space.parameters, self.scales, row, strict=True):
            if is_active(parameter, config):
                config[parameter.name] = scale.value(float(u))
        return config

    def encode(self, configs: Iterable[Config]) -> Floats:
        """The rows of legal configs: decode gives them back, floats to within rounding."""
        listed = list(configs)
        rows = np.full((len(listed), self.width), INACTIVE)
        for j, (parameter, scale) in enumerate(
            zip(self.space.parameters, self.scales, strict=True)
        ):
            having = [k for k, config in enumerate(listed) if parameter.name in config]
            if having:
                rows[having, j] = scale.units([listed[k][parameter.name] for k in having])
        return rows

    def snap(self, rows: Floats) -> Floats:
        """Each row moved to where its config lies, for any number of rows at once."""
        snapped = np.stack([scale.snap(rows[:, j]) for j, scale in enumerate(self.scales)], axis=1)
        snapped[~self.active(snapped)] = INACTIVE
        return snapped

    def active(self, rows: Floats) -> Mask:
        """Which parameters are active in each row."""
        active = np.ones(rows.shape, dtype=np.bool_)
        for j, parameter in enumerate(self.space.parameters):
            for condition in parameter.when:
                active[:, j] &= self._holds(condition, rows, active)
        return active

    def features(self, rows: Floats) -> Floats:
        """Snapped rows as points in which the squared distance between two suits a kernel.

        Numbers and ordered choices keep their coordinate.  A choice without order takes a column
        for every choice, and one for being inactive, holding 0 or sqrt(1/2): two different choices
        are 1 apart, whichever they are.  A permutation takes a column for every pair of items: the
        squared distance of two is the part of the pairs that they have the other way round (their
        Kendall distance over the largest), so that a squared exponential kernel is a Mallows kernel
        (Jiao and Vert, "The Kendall and Mallows Kernels for Permutations", 2018); an inactive one
        is 1 from all.  Parameters with a single value take no column.
        """
        active = self.active(rows)
        blocks = [self._block(j, rows[:, j], active[:, j]) for j in self.free]
        return np.concatenate([np.empty((len(rows), 0)), *blocks], axis=1)

    @property
    def free(self) -> list[int]:
        """The parameters that have more than one value."""
        return [j for j, scale in enumerate(self.scales) if scale.count != 1]

    @property
    def owners(self) -> list[int]:
        """For each column of the features, the place of its parameter in `free`."""
        widths = (self._columns(j) for j in self.free)
        return list(chain.from_iterable([place] * width for place, width in enumerate(widths)))

    def _holds(self, condition: Condition, rows: Floats, active: Mask) -> Mask:
        parent = self._column[condition.parameter]
        scale, parameter = self.scales[parent], self.space.parameters[parent]
        assert isinstance(scale, Levels)  # a space refuses conditions on floats
        allowed = [scale.level_of(parameter.check(value)) for value in condition.values]
        holds: Mask = active[:, parent] & np.isin(scale.level(rows[:, parent]), allowed)
        return holds

    def _columns(self, j: int) -> int:
        parameter, count = self.space.parameters[j], self.scales[j].count
        if isinstance(scale := self.scales[j], Permutations):
            return math.comb(len(scale.items), 2) + bool(parameter.when)
        if count is None or not _unordered(parameter):
            return 1
        return count + bool(parameter.when)

    def _block(self, j: int, u: Floats, active: Mask) -> Floats:
        scale, width = self.scales[j], self._columns(j)
        if isinstance(scale, Permutations):
            return _pair_columns(scale, width, u, active)
        if width == 1 or not isinstance(scale, Levels):
            return u[:, None]
        level = np.where(active, scale.level(u), scale.count)
        columns: Floats = np.zeros((len(u), width))
        columns[np.arange(len(u)), level.astype(int)] = np.sqrt(0.5)
        return columns


def _pair_columns(scale: Permutations, width: int, u: Floats, active: Mask) -> Floats:
    count = math.comb(len(scale.items), 2)
    columns: Floats = np.zeros((len(u), width))
    columns[:, :count] = pairs(scale.orders(u)) / math.sqrt(count)
    # In the middle of the orders, 1/4 from each, and 3/4 aside.
    columns[~active, :count] = 0.5 / math.sqrt(count)
    columns[~active, count:] = math.sqrt(0.75)
    return columns


def decode(space: SearchSpace, row: Sequence[float] | Floats) -> dict[str, Value]:
    """The config at one row of the unit cube; `space.check` accepts it as it stands."""
    return Cube(space).decode(row)


def encode(space: SearchSpace, config: Config) -> Floats:
    """The row of one legal config: the centre of its cell, INACTIVE where a parameter is."""
    row: Floats = Cube(space).encode([config])[0]
    return row


def config_key(config: Config) -> str:
    """The same text for equal configs, a different one for different configs."""
    return canonical_json(config)


def _unordered(parameter: Parameter) -> bool:
    return isinstance(parameter, ChoiceParameter) and not parameter.ordered
