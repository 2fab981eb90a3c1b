"""A normal belief about a number: see priors.py."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from search.priors import Belief
from search.scales import Floats, Levels, Scale

# As wide as this many ranges, a normal density over the range is even to six digits, and beyond
# that the digits go into what lies outside.
WIDEST = 1000.0
SHORT = 1e-4  # cells as short as this, times the slope, have the density of their middle


@dataclass(frozen=True, slots=True)
class Bell(Belief):
    """A normal distribution of mean m and standard deviation s, cut off at 0 and 1."""

    m: float
    s: float
    scale: Scale

    @classmethod
    def of(cls, m: float, s: float, scale: Scale) -> "Bell":
        """With the mean brought into [0, 1], where rounding may have it miss an end."""
        return cls(min(max(m, 0.0), 1.0), min(s, WIDEST), scale)

    def places(self, v: Floats) -> Floats:
        a, b = -self.m / self.s, (1 - self.m) / self.s
        left = ndtr(a) + v * (ndtr(b) - ndtr(a))
        # Near 1 a probability has lost its digits; that of the other side has them.
        right = ndtr(-b) + (1 - v) * (ndtr(-a) - ndtr(-b))
        z = np.where(left < 0.5, ndtri(left), -ndtri(right))
        return np.asarray(np.clip(self.m + self.s * z, 0.0, 1.0))

    def below(self, u: Floats) -> Floats:
        a, b = -self.m / self.s, (1 - self.m) / self.s
        share = (ndtr((u - self.m) / self.s) - ndtr(a)) / (ndtr(b) - ndtr(a))
        return np.asarray(np.clip(share, 0.0, 1.0))

    def log_density(self, u: Floats) -> Floats:
        whole = math.log(ndtr((1 - self.m) / self.s) - ndtr(-self.m / self.s))
        if not isinstance(self.scale, Levels):
            return np.asarray(_log_phi((u - self.m) / self.s) - math.log(self.s) - whole)
        low, high = self.scale.edges(self.scale.level(u))
        share = _log_mass((low - self.m) / self.s, (high - self.m) / self.s)
        return np.asarray(share - np.log(high - low) - whole)


def _log_phi(z: Floats) -> Floats:
    return np.asarray(-0.5 * np.square(z) - 0.5 * math.log(2 * math.pi))


def _log_mass(a: Floats, b: Floats) -> Floats:
    """ln(Phi(b) - Phi(a)) for a < b, in the tails too."""
    flip = a > 0
    low, high = np.where(flip, -b, a), np.where(flip, -a, b)
    middle = 0.5 * (low + high)
    short = (high - low) * np.maximum(1.0, np.abs(middle)) < SHORT
    found = np.asarray(_log_phi(middle) + np.log(high - low))
    top, rest = log_ndtr(high[~short]), log_ndtr(low[~short])
    found[~short] = top + np.log1p(-np.exp(rest - top))
    return found
