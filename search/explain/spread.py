"""Configs that an explanation averages over: spread evenly over those that may be tried.

Even is meant on the declared scales, whatever is believed.  Without constraints between parameters
each coordinate is independent of the others.  With them, rows come from the feasible region, and
those with a given value of a constrained parameter from what it leaves of the region.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats.qmc import Sobol

from search.drawing import Drawing
from search.encoding import Cube
from search.errors import InvalidSpace
from search.explain.activation import activated
from search.parameters import FloatParameter, IntParameter, Parameter
from search.region import Region, nearest
from search.scales import Floats, Levels
from search.space import SearchSpace

KNOWN = 1024  # rows of a region by which it is known
OUTERMOST = 4  # of these, beyond which no value of a constrained parameter is looked at
THROUGH = 256  # points of a slice from which others are drawn


class Spread:
    """Draws rows of a cube; the same ones again for the same seed."""

    def __init__(self, cube: Cube, seed: int) -> None:
        self.cube = cube
        self.region = Region.of(cube)
        self._seed = seed
        self._known = np.empty((0, cube.width))
        if self.region is not None:
            self._known = self.rows(KNOWN)

    def rows(self, size: int) -> Floats:
        """As many as the next power of two; fewer where hardly any config meets the constraints."""
        count = 1 << max(0, (size - 1).bit_length())
        if self.region is None:
            found: Floats = Sobol(self.cube.width, rng=self._rng()).random(count)
            return found
        return self._drawn({}, count)

    def extent(self, j: int) -> tuple[float, float]:
        """Between which places the values of parameter j lie."""
        u = np.sort(self._known[:, j])
        if not self._constrained([j]) or len(u) <= 2 * OUTERMOST:
            return 0.0, 1.0
        return float(u[OUTERMOST]), float(u[-1 - OUTERMOST])

    def at(self, rows: Floats, fixed: Mapping[int, float]) -> Floats:
        """The rows, snapped, with parameters at given places, as far as there they may be tried.

        The ancestors of conditional parameters have values that make them active.  Of a constrained
        parameter, rows are drawn anew: moving one value alone would leave the region.
        """
        at = list(fixed)
        if self._constrained(at):
            rows = self._drawn(fixed, len(rows))
        rows = activated(self.cube, rows, at)
        rows[:, at] = list(fixed.values())
        return self._possible(rows, at)

    def active(self, rows: Floats, j: int) -> Floats:
        """The rows with parameter j active, snapped, as far as they may be tried."""
        return self._possible(activated(self.cube, rows, [j]), [j])

    def _possible(self, rows: Floats, active: Sequence[int]) -> Floats:
        rows = self.cube.snap(rows)
        legal = self.cube.active(rows)[:, active].all(axis=1)
        return rows[legal if self.region is None else legal & self.region.holds(rows)]

    def redrawn(self, rows: Floats, j: int, rng: np.random.Generator) -> Floats:
        """Legal rows with coordinate j drawn evenly from what the others leave of it."""
        v, moved = rng.random(len(rows)), rows.copy()
        low, high = np.zeros(len(rows)), np.ones(len(rows))
        if self.region is not None and self._constrained([j]):
            low, high = _fibre(self.region, rows, j)
        moved[:, j] = low + v * (high - low)
        if self.region is None:
            return moved
        legal = self.region.holds(self.cube.snap(moved))
        return np.where(legal[:, None], moved, rows)

    def _constrained(self, parameters: Sequence[int]) -> bool:
        return self.region is not None and any(j in self.region.columns for j in parameters)

    def _drawn(self, fixed: Mapping[int, float], count: int) -> Floats:
        """Rows of the region, with every coordinate drawn, whether its parameter is active or not.

        The same random numbers for any values that are fixed: what differs is owed to these.
        """
        try:
            space = SearchSpace(
                parameters=[
                    self._bare(j, parameter, fixed)
                    for j, parameter in enumerate(self.cube.space.parameters)
                ],
                constraints=self.cube.space.constraints,
            )
        except InvalidSpace:
            return np.empty((0, self.cube.width))
        cube, inside = Cube(space), self._inside(fixed)
        return Drawing(cube, believed=False, inside=inside).rows(self._rng(), count)

    def _inside(self, fixed: Mapping[int, float]) -> Floats | None:
        """Values of the constrained parameters with which what is fixed is; None if nothing is.

        Between a config with a lower value and one with a higher value lies one with this value:
        the region is convex.
        """
        if self.region is None or not self._constrained(list(fixed)):
            return None
        x, rng = self.region.values(self._known), self._rng()
        for j in fixed:
            if j in self.region.columns:
                k = self.region.columns.index(j)
                axis = self.region.axes[k]
                x = _through(x, k, float(axis.values(np.array([fixed[j]]))[0]), rng)
        return x

    def _bare(self, j: int, parameter: Parameter, fixed: Mapping[int, float]) -> Parameter:
        """Without conditions and default; with one value where it is fixed, if it is a number."""
        if j in fixed and isinstance(parameter, FloatParameter | IntParameter):
            value = self.cube.scales[j].value(fixed[j])
            return type(parameter)(name=parameter.name, low=value, high=value)  # type: ignore[arg-type]
        return replace(parameter, when=(), default=None)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)


def _through(x: Floats, k: int, value: float, rng: np.random.Generator) -> Floats:
    """Points between two of x each, whose k-th coordinate has the value; none if it is beyond x."""
    below, above = x[x[:, k] <= value], x[x[:, k] >= value]
    if not len(below) or not len(above):
        return x[:0]
    a, b = (part[rng.integers(len(part), size=THROUGH)] for part in (below, above))
    length = b[:, k] - a[:, k]
    t = np.divide(value - a[:, k], length, out=np.zeros(THROUGH), where=length > 0)
    found = a + t[:, None] * (b - a)
    found[:, k] = value
    return found


def _fibre(region: Region, rows: Floats, j: int) -> tuple[Floats, Floats]:
    """Between which places coordinate j may lie, given the others of each row."""
    k, u = region.columns.index(j), rows[:, j]
    axis, scale = region.axes[k], region.cube.scales[j]
    low, high = region.interval(region.values(region.cube.snap(rows)), k)
    ends = [nearest(axis, np.full(len(rows), end), low, high) for end in (-np.inf, np.inf)]
    none = ~np.isfinite(ends[0]) | ~np.isfinite(ends[1])
    places = [axis.place(np.where(none, axis.low, end)) for end in ends]
    if isinstance(scale, Levels):
        places = [scale.edges(scale.level(place))[side] for side, place in enumerate(places)]
    return np.where(none, u, places[0]), np.where(none, u, places[1])
