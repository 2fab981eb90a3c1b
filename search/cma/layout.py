"""Which parameters of a space are which coordinates of the distribution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.encoding import INACTIVE, Cube
from search.parameters import ChoiceParameter
from search.scales import Floats, Levels

MANY = 100  # levels; more of them are as good as a continuous scale


@dataclass(frozen=True, slots=True)
class Layout:
    """The parameters, by their place in the space, in the order of a row's coordinates.

    `reals` are continuous, `wholes` have ordered levels, `choices` have levels without order.  Two
    levels are a choice, since they have no order worth the name.  A row holds a coordinate of the
    unit cube for each; parameters with a single value have none.
    """

    cube: Cube
    reals: Sequence[int]
    wholes: Sequence[int]
    choices: Sequence[int]

    @classmethod
    def of(cls, cube: Cube) -> "Layout":
        """The layout of a space."""
        kinds: dict[str, list[int]] = {"reals": [], "wholes": [], "choices": []}
        for j in cube.free:
            kinds[_kind(cube, j)].append(j)
        return cls(cube, **kinds)

    @property
    def order(self) -> list[int]:
        """For each coordinate of a row, the place of its parameter."""
        return [*self.reals, *self.wholes, *self.choices]

    @property
    def numbers(self) -> int:
        """How many coordinates the normal distribution has; choices come after them."""
        return len(self.reals) + len(self.wholes)

    def counts(self, places: Sequence[int]) -> list[int]:
        """How many levels each of these parameters has."""
        return [count for j in places if (count := self.cube.scales[j].count) is not None]

    def centres(self, place: int) -> Floats:
        """The coordinates of a parameter's levels."""
        scale = self.cube.scales[place]
        assert isinstance(scale, Levels)
        return np.asarray(scale.centre(np.arange(scale.count)), dtype=np.float64)

    def row(self, encoded: Floats) -> Floats:
        """The coordinates of one encoded config."""
        return np.asarray(encoded[self.order])

    def encoded(self, row: Floats) -> Floats:
        """A row of the whole cube: what Cube.decode reads."""
        full = np.full(self.cube.width, INACTIVE)
        full[self.order] = row
        return full


def _kind(cube: Cube, place: int) -> str:
    parameter, count = cube.space.parameters[place], cube.scales[place].count
    if count is None:
        return "reals"
    unordered = isinstance(parameter, ChoiceParameter) and not parameter.ordered
    if unordered or count == 2:
        return "choices"
    return "wholes" if count <= MANY else "reals"
