"""The losses of one metric on the scale of a model, and back, keeping their order exactly.

Where several metrics are weighed against each other, or against a bound, a model has to keep to
their scale: y = (loss - centre) / scale.  Only what is absurd is pulled in: beyond FENCE deviations
from the median a loss grows as the logarithm of its logarithm, so that 1e12 among others near 1 is
bad rather than the only thing to be seen, and a bound out there still has it on the right side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.scales import Floats
from search.targets import FENCE, LIMIT


@dataclass(frozen=True, slots=True)
class Units:
    """A metric's scale; `spread` is the deviation that the fence counts in, 0 for no fence."""

    middle: float
    spread: float
    centre: float
    scale: float

    @classmethod
    def of(cls, losses: Sequence[float]) -> "Units":
        """The scale on which these losses have mean 0 and, unless all are equal, deviation 1."""
        raw = np.clip(np.asarray(losses, dtype=np.float64), -LIMIT, LIMIT)
        middle = float(np.median(raw))
        good = raw[raw <= middle]
        fence = cls(middle, float(np.sqrt(np.mean((good - middle) ** 2))), 0.0, 1.0)
        warped = fence.y(raw)
        centre, spread = float(np.mean(warped)), float(np.std(warped))
        # A spread below rounding is no spread: it would only magnify noise.
        floor = 1e-12 * max(abs(centre), float(np.max(np.abs(warped))))
        return cls(middle, fence.spread, centre, spread if spread > floor else 1.0)

    def y(self, losses: Floats | float) -> Floats:
        """Losses on the model's scale; infinite ones stay so."""
        x = np.asarray(losses, dtype=np.float64)
        if self.spread > 0:
            far = (np.where(np.isinf(x), 0.0, x) - self.middle) / self.spread
            beyond = np.log1p(np.log1p(np.maximum(np.abs(far) - FENCE, 0.0)))
            pulled = self.middle + np.sign(far) * self.spread * (FENCE + beyond)
            x = np.where(np.isfinite(x) & (np.abs(far) > FENCE), pulled, x)
        found: Floats = (x - self.centre) / self.scale
        return found

    def loss(self, y: float) -> float:
        """The loss that a prediction stands for."""
        x = self.centre + y * self.scale
        if self.spread == 0:
            return x
        far = (x - self.middle) / self.spread
        if abs(far) <= FENCE:
            return x
        with np.errstate(over="ignore"):
            beyond = FENCE + float(np.expm1(np.expm1(abs(far) - FENCE)))
        return float(np.clip(self.middle + np.sign(far) * self.spread * beyond, -LIMIT, LIMIT))
