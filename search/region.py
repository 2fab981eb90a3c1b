"""The part of a unit cube in which the linear constraints of a space hold.

    x   n x c   values of the c parameters that any constraint speaks of
    A   m x c   coefficients;   low <= A x <= high   for each of the m constraints

Rows are checked where their configs lie, after snapping, so that what holds here holds for the
config.
"""

from __future__ import annotations

import numpy as np

from search.axis import Axis
from search.encoding import Cube, Mask
from search.linear import slack_of
from search.parameters import FloatParameter, IntParameter
from search.scales import Floats

PASSES = 3  # over all coordinates, to pull a row back


class Region:
    """The feasible part of a cube whose space has constraints."""

    def __init__(self, cube: Cube) -> None:
        space = cube.space
        self.cube = cube
        named = {name for constraint in space.constraints for name in constraint.terms}
        self.columns = [j for j, p in enumerate(space.parameters) if p.name in named]
        numbers = [space.parameters[j] for j in self.columns]
        self.axes = [Axis.of(p) for p in numbers if isinstance(p, FloatParameter | IntParameter)]
        self.A = np.array([[c.terms.get(p.name, 0.0) for p in numbers] for c in space.constraints])
        self.low = np.array([c.low for c in space.constraints])
        self.high = np.array([c.high for c in space.constraints])
        self.slack = np.array([slack_of(c, space.parameters) for c in space.constraints])

    @classmethod
    def of(cls, cube: Cube) -> Region | None:
        """The region; None where there are no constraints, so that all of the cube is."""
        return cls(cube) if cube.space.constraints else None

    def values(self, rows: Floats) -> Floats:
        """x of snapped rows."""
        pairs = zip(self.axes, self.columns, strict=True)
        return np.stack([axis.values(rows[:, j]) for axis, j in pairs], axis=1)

    def holds(self, rows: Floats) -> Mask:
        """Which snapped rows meet every constraint."""
        sums = self.values(rows) @ self.A.T
        # Half of what a config is allowed: its values may come out otherwise in the last digit.
        slack = 0.5 * self.slack
        inside: Mask = ((sums >= self.low - slack) & (sums <= self.high + slack)).all(axis=1)
        return inside

    def pulled_back(self, rows: Floats, rng: np.random.Generator) -> Floats:
        """Rows snapped, and those outside moved inside where moving one value or a few does it."""
        rows = self.cube.snap(rows)
        outside = ~self.holds(rows)
        if outside.any():
            rows[outside] = self._pulled(rows[outside], rng)
        return rows

    def kept(self, rows: Floats, parents: Floats, rng: np.random.Generator) -> Floats:
        """The rows pulled back; those that stay outside are their parents, which are inside."""
        pulled = self.pulled_back(rows, rng)
        return np.where(self.holds(pulled)[:, None], pulled, self.cube.snap(parents))

    def _pulled(self, rows: Floats, rng: np.random.Generator) -> Floats:
        x = self.values(rows)
        for _ in range(PASSES):
            for k in rng.permutation(len(self.axes)):
                low, high = self.interval(x, k)
                x[:, k] = nearest(self.axes[k], x[:, k], low, high)
        return self.placed(rows, x)

    def placed(self, rows: Floats, x: Floats) -> Floats:
        """The rows with the values x, snapped."""
        rows = rows.copy()
        for k, (axis, j) in enumerate(zip(self.axes, self.columns, strict=True)):
            rows[:, j] = axis.place(x[:, k])
        return self.cube.snap(rows)

    def interval(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        """Between what the k-th value of each row may lie, given its others; low > high: nowhere.

        Only the constraints count, not the range of the parameter.
        """
        a = self.A[:, k]
        use = a != 0
        others = x @ self.A[use].T - x[:, [k]] * a[use]
        with np.errstate(over="ignore"):
            ends = np.stack([(self.low[use] - others) / a[use], (self.high[use] - others) / a[use]])
        low: Floats = ends.min(axis=0).max(axis=1)
        high: Floats = ends.max(axis=0).min(axis=1)
        return low, high


def nearest(axis: Axis, x: Floats, low: Floats, high: Floats) -> Floats:
    """The values of a number in [low, high] that are nearest to x; x where there are none.

    Where the interval lies beyond the number's range, the end of the range on its side.
    """
    rounding = 1e-12 * max(abs(axis.low), abs(axis.high), axis.step)
    none = low > high + rounding
    if axis.step:
        first = np.ceil((np.clip(low, axis.low, axis.high) - axis.low - rounding) / axis.step)
        last = np.floor((np.clip(high, axis.low, axis.high) - axis.low + rounding) / axis.step)
        none = none | (first > last)
        level = np.clip(np.rint((x - axis.low) / axis.step), first, np.maximum(first, last))
        moved = axis.low + level * axis.step
    else:
        moved = np.clip(x, np.minimum(low, high), np.maximum(low, high))
    return np.where(none, x, np.clip(moved, axis.low, axis.high))
