"""Numbers against the unit interval without regard to steps, both ways and many at once.

scales.py says which values there are and which cell of the interval each owns; here a number may
lie anywhere, as the ends of a cell, the mean of a prior and a point of a polytope do.
"""

import math
from dataclasses import dataclass

import numpy as np

from search.parameters import FloatParameter, IntParameter
from search.scales import Floats, Levels, scale_of

DIGITS = 13  # of a range: the last one is a tenth of what a constraint is allowed for rounding


@dataclass(frozen=True, slots=True)
class Axis:
    """u = (x - start) / length, where x is the number or, on a log scale, its logarithm.

    `low` and `high` are the least and greatest values, `step` what lies between neighbours, 0 where
    there is none.
    """

    start: float
    length: float
    log: bool
    low: float
    high: float
    step: float

    @classmethod
    def of(cls, parameter: FloatParameter | IntParameter) -> "Axis":
        """The axis of a number."""
        low, scale, log = float(parameter.low), scale_of(parameter), parameter.log
        if scale.count == 1:
            return cls(low - 0.5, 1.0, False, low, low, 1.0)
        step, high = 0.0, float(parameter.high)
        if isinstance(scale, Levels):
            step = float(parameter.step or 1.0)
            high = low + (scale.count - 1) * step
        # Levels own cells that reach half a step beyond the ends.
        a, b = (edge(v, log) for v in (low - 0.5 * step, high + 0.5 * step))
        return cls(a, b - a, log, low, min(high, float(parameter.high)), step)

    def unit(self, values: Floats) -> Floats:
        """Where numbers lie, 0 to 1."""
        x = np.log(np.maximum(values, self.low)) if self.log else values
        return np.clip((x - self.start) / self.length, 0.0, 1.0)

    def place(self, values: Floats) -> Floats:
        """Where numbers lie, the same for two that ought to be the same.

        A number that an equation leaves no choice comes out with other last digits each time it is
        computed, and would count as another config.
        """
        if self.log or self.step:
            return self.unit(values)
        return self.unit(np.round(values, DIGITS - math.ceil(math.log10(self.length))))

    def values(self, u: Floats) -> Floats:
        """The numbers in whose cells the places lie; where there are no cells, those there."""
        found = self.anywhere(u)
        if self.step:
            found = self.low + np.rint((found - self.low) / self.step) * self.step
        return np.clip(found, self.low, self.high)

    def anywhere(self, u: Floats) -> Floats:
        """The numbers at places, whether the parameter can have them or not."""
        x = self.start + np.clip(u, 0.0, 1.0) * self.length
        return np.exp(x) if self.log else x

    def sd(self, sd: float) -> float:
        """A standard deviation (in decades on a log scale) as a part of the interval."""
        return sd * (math.log(10) if self.log else 1.0) / self.length


def edge(value: float, log: bool) -> float:
    """The number on its scale."""
    return math.log(value) if log else value
