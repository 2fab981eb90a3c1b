"""Constraints on outcomes, on the scale of the models.

z   ... x metrics    outcomes, higher better; a metric meets its bounds where low <= z <= high
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from botorch.utils.objective import (
    compute_feasibility_indicator,
    compute_smoothed_feasibility_indicator,
)
from botorch.utils.probability.utils import log_prob_normal_in
from torch import Tensor

from search.bayes.outcomes_model import Surface
from search.metrics import Metric

ETA = 1e-3  # over which width of z a constraint goes from met to broken
FAR = 1e50  # deviations: as good as infinitely many


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a metric's z has to lie."""

    column: int
    low: float
    high: float


def bounds_of(metrics: Sequence[Metric], surfaces: Sequence[Surface]) -> list[Bound]:
    """The bounds of the metrics that have some; columns are places among the metrics."""
    return [
        # A model is of -y, so that the highest loss is the lowest z.
        Bound(k, float(-surface.units.y(metric.high)), float(-surface.units.y(metric.low)))
        for k, (metric, surface) in enumerate(zip(metrics, surfaces, strict=True))
        if metric.bounded
    ]


class Feasibility:
    """Which draws meet every bound."""

    def __init__(self, bounds: Sequence[Bound]) -> None:
        self.bounds = bounds
        self._broken = [side for bound in bounds for side in _sides(bound)]

    def holds(self, draws: Tensor) -> Tensor:
        """Whether all are met, for draws ... x metrics."""
        if not self._broken:
            return torch.ones(draws.shape[:-1], dtype=torch.bool)
        met: Tensor = compute_feasibility_indicator(self._broken, draws)
        return met

    def log(self, draws: Tensor) -> Tensor:
        """The logarithm of a smooth indicator of that, which knows better from worse throughout."""
        if not self._broken:
            return draws.new_zeros(draws.shape[:-1])
        smooth: Tensor = compute_smoothed_feasibility_indicator(
            self._broken, draws, eta=ETA, log=True, fat=True
        )
        return smooth

    def log_probability(self, mean: Tensor, sd: Tensor) -> Tensor:
        """The logarithm of the probability that all are met; mean and sd are n x metrics."""
        total = mean.new_zeros(len(mean))
        for bound in self.bounds:
            low = (bound.low - mean[:, bound.column]) / sd[:, bound.column]
            high = (bound.high - mean[:, bound.column]) / sd[:, bound.column]
            total += _log_between(low, high)
        return total


def _sides(bound: Bound) -> list[Callable[[Tensor], Tensor]]:
    """What is negative where the bound is met, for each end that there is."""
    sides: list[Callable[[Tensor], Tensor]] = []
    if bound.low != -torch.inf:
        sides.append(lambda z: bound.low - z[..., bound.column])
    if bound.high != torch.inf:
        sides.append(lambda z: z[..., bound.column] - bound.high)
    return sides


def _log_between(low: Tensor, high: Tensor) -> Tensor:
    """log(Phi(high) - Phi(low)); an end may be infinite, and both may be the same."""
    low = low.clamp(-FAR, FAR)
    high = torch.maximum(high.clamp(-FAR, FAR), torch.nextafter(low, torch.full_like(low, FAR)))
    between: Tensor = log_prob_normal_in(low, high)
    return between
