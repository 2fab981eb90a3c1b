"""Losses made fit for a Gaussian process, and its predictions made losses again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from search.scales import Floats

LIMIT = 1e150  # squares of losses beyond it overflow
FENCE = 20.0  # deviations of the good half from the median
# Standard errors beyond so many deviations of the losses: such a loss says nothing either way, and
# squares of much larger ones drown whatever else is in the covariance.
LARGEST_ERROR = 1e4


@dataclass(frozen=True, slots=True)
class Targets:
    """`y` has mean 0 and standard deviation 1 (or 0, when all losses are equal)."""

    y: Floats
    losses: Floats
    centre: float
    scale: float

    def noise(self, errors: Floats) -> Floats:
        """The variances of `y` that standard errors of the losses make.

        Bad losses that were pulled in keep the scale of the others: they are known no better.
        """
        known = np.minimum(errors, LARGEST_ERROR * self.scale) / self.scale
        return np.square(known)

    def loss(self, y: float) -> float:
        """The loss that a prediction stands for."""
        order = np.argsort(self.y, kind="stable")
        if y <= self.y[order[0]]:
            # The good half is on the scale of the losses, and so is what lies below it.
            return float(self.losses[order[0]] + (y - self.y[order[0]]) * self.scale)
        return float(np.interp(y, self.y[order], self.losses[order]))


def half_ranked(losses: Floats) -> Floats:
    """Losses above the median m become m + s z(rank): one diverged run no longer hides the rest.

    s is the root mean square of the good half about m, z the quantiles of the upper half of a
    normal distribution.  Song and others, "The Vizier Gaussian Process Bandit Algorithm", 2024.
    """
    middle, spread = middle_and_spread(losses)
    if spread == 0:
        return losses
    half = len(losses) / 2
    ordered = np.sort(losses)
    below, up_to = (np.searchsorted(ordered, losses, side) for side in ("left", "right"))
    rank = 0.5 * (below + up_to - 1)  # from 0, ties share
    quantile = 0.5 + 0.5 * (rank - half + 1) / (half + 1)
    bad = middle + spread * ndtri(np.clip(quantile, 0.5, 1 - 1e-9))
    return np.where(losses <= middle, losses, bad)


def fenced(losses: Floats) -> Floats:
    """Losses beyond m + FENCE s become that, m and s as in half_ranked; the rest stay as they are.

    A loss of 1e12 among others near 1 is as bad as can be, and says no more than that.
    """
    middle, spread = middle_and_spread(losses)
    return losses if spread == 0 else np.minimum(losses, middle + FENCE * spread)


def targets(losses: Sequence[float], warp: Callable[[Floats], Floats] = half_ranked) -> Targets:
    """The losses, warped where they are bad, then standardised."""
    raw = np.clip(np.asarray(losses, dtype=np.float64), -LIMIT, LIMIT)
    warped = warp(raw)
    centre = float(np.mean(warped))
    # A spread below rounding is no spread: it would only magnify noise.
    floor = 1e-12 * max(abs(centre), float(np.max(np.abs(warped))))
    spread = float(np.std(warped))
    scale = spread if spread > floor else 1.0
    y = (warped - centre) / scale if spread > floor else np.zeros_like(warped)
    return Targets(y=y, losses=raw, centre=centre, scale=scale)


def telling(losses: Sequence[float], limit: int, rng: np.random.Generator) -> list[int]:
    """The places of at most `limit` losses: the lowest fill a third of it, the rest is drawn."""
    if len(losses) <= limit:
        return list(range(len(losses)))
    order = np.argsort(losses, kind="stable")
    others = rng.permutation(order[limit // 3 :])[: limit - limit // 3]
    return sorted([*order[: limit // 3].tolist(), *others.tolist()])


def middle_and_spread(losses: Floats) -> tuple[float, float]:
    """The median, and how far losses at most as high deviate from it (root mean square)."""
    middle = float(np.median(losses))
    good = losses[losses <= middle]
    return middle, float(np.sqrt(np.mean((good - middle) ** 2)))
