"""Losses made fit for a Gaussian process, and its predictions made losses again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from search.scales import Floats

LIMIT = 1e150  # squares of losses beyond it overflow


@dataclass(frozen=True, slots=True)
class Targets:
    """`y` has mean 0 and standard deviation 1 (or 0, when all losses are equal)."""

    y: Floats
    losses: Floats
    centre: float
    scale: float

    def loss(self, y: float) -> float:
        """The loss that a prediction stands for."""
        order = np.argsort(self.y, kind="stable")
        if y <= self.y[order[0]]:
            # The good half is on the scale of the losses, and so is what lies below it.
            return float(self.losses[order[0]] + (y - self.y[order[0]]) * self.scale)
        return float(np.interp(y, self.y[order], self.losses[order]))


def targets(losses: Sequence[float]) -> Targets:
    """The worse half pulled in to a normal tail, then all of it standardised."""
    raw = np.clip(np.asarray(losses, dtype=np.float64), -LIMIT, LIMIT)
    warped = half_ranked(raw)
    centre = float(np.mean(warped))
    # A spread below rounding is no spread: it would only magnify noise.
    floor = 1e-12 * max(abs(centre), float(np.max(np.abs(warped))))
    spread = float(np.std(warped))
    scale = spread if spread > floor else 1.0
    y = (warped - centre) / scale if spread > floor else np.zeros_like(warped)
    return Targets(y=y, losses=raw, centre=centre, scale=scale)


def half_ranked(losses: Floats) -> Floats:
    """Losses above the median m become m + s z(rank): one diverged run no longer hides the rest.

    s is the root mean square of the good half about m, z the quantiles of the upper half of a
    normal distribution.  Song and others, "The Vizier Gaussian Process Bandit Algorithm", 2024.
    """
    middle = float(np.median(losses))
    good = losses <= middle
    spread = float(np.sqrt(np.mean((losses[good] - middle) ** 2)))
    if spread == 0:
        return losses
    half = len(losses) / 2
    rank = rankdata(losses) - 1  # from 0, ties share
    quantile = 0.5 + 0.5 * (rank - half + 1) / (half + 1)
    return np.where(good, losses, middle + spread * ndtri(np.clip(quantile, 0.5, 1 - 1e-9)))
