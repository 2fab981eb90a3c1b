"""What a new point adds to those that there are, from joint draws: log EI, log EHVI, ParEGO.

All higher is better.  S draws, r anchors, b new points, m objectives:

    anchors  S x r x m    met     S x r   whether a draw of an anchor meets the constraints
    new      S x b x m    log_met S x b   the logarithm of a smooth indicator of that

The improvement of a draw is smoothed with a fat tail, so that there is always a better and a worse
(Ament and others, "Unexpected Improvements to Expected Improvement", 2023), weighted by whether the
draw is feasible, and averaged.  The means are those of BoTorch's qLogNoisyExpectedImprovement,
qLogNoisyExpectedHypervolumeImprovement and qLogNParEGO for one new point; here a new point is drawn
without building the covariance of it and all anchors.
"""

import numpy as np
import torch
from botorch.acquisition.logei import TAU_RELU
from botorch.utils.safe_math import log_fatplus, logmeanexp
from torch import Tensor

from search.bayes.boxes import Boxes, left_open

FARTHEST = 1e10  # a cell without an end goes so far
AUGMENT = 0.05  # what the sum of the objectives counts beside the worst of them


def incumbents(anchors: Tensor, met: Tensor) -> Tensor:
    """The best feasible anchor of each draw, S; anchors are S x r here.

    A draw in which no anchor is feasible improves on the worst there is.
    """
    if not anchors.shape[1]:
        return anchors.new_zeros(len(anchors))
    lowest = anchors.amin()
    return torch.where(met, anchors, lowest).amax(dim=1)


def log_improvement(best: Tensor, new: Tensor, log_met: Tensor) -> Tensor:
    """log E[(new - best)+ feasible], b, for new S x b."""
    gained = log_fatplus(new - best.unsqueeze(1), tau=TAU_RELU)
    expected: Tensor = logmeanexp(gained + log_met, dim=0)
    return expected


class Front:
    """The boxes above the feasible front of every draw of the anchors."""

    def __init__(self, anchors: Tensor, met: Tensor, reference: Tensor) -> None:
        boxes = left_open(anchors.numpy(), met.numpy(), reference.numpy())
        low, high = _side_by_side(boxes, len(anchors))
        self._low: Tensor = low.unsqueeze(1)
        self._log_length: Tensor = (high.clamp_max(FARTHEST) - low).log().unsqueeze(1)

    @property
    def cells(self) -> int:
        """How many numbers there are to work out for a new point."""
        return self._low.numel()

    def log_improvement(self, new: Tensor, log_met: Tensor) -> Tensor:
        """log E[hypervolume gained, where feasible], b, for new S x b x m.

        A point fills a cell between l and u to the volume prod_m min(y_m - l_m, u_m - l_m)+.
        """
        filled = log_fatplus(new.unsqueeze(2) - self._low, tau=TAU_RELU)
        gained = torch.minimum(filled, self._log_length).sum(dim=-1).logsumexp(dim=-1)
        expected: Tensor = logmeanexp(gained + log_met, dim=0)
        return expected


def _side_by_side(boxes: Boxes, fronts: int) -> tuple[Tensor, Tensor]:
    """The boxes as S x most x m, lower and upper ends; what fills a row up is empty."""
    counts = np.bincount(boxes.owner, minlength=fronts)
    places = np.arange(len(boxes.owner)) - np.repeat(counts.cumsum() - counts, counts)
    low = np.zeros((fronts, int(counts.max()), boxes.low.shape[1]))
    high = low.copy()
    low[boxes.owner, places], high[boxes.owner, places] = boxes.low, boxes.high
    return torch.from_numpy(low), torch.from_numpy(high)


class Chebyshev:
    """-(max_m w_m v_m + AUGMENT sum_m w_m v_m), v the losses of the objectives from 0 to 1.

    Knowles, "ParEGO", 2006.  `Y`, n x m, spans the range of the objectives.
    """

    def __init__(self, weights: Tensor, Y: Tensor) -> None:
        self._weights = weights
        self._best = Y.amax(dim=0)
        spread = self._best - Y.amin(dim=0)
        self._spread = torch.where(spread > 1e-12, spread, 1.0)

    def __call__(self, Y: Tensor) -> Tensor:
        """The scalarised objectives of ... x m outcomes; higher is better."""
        weighted = self._weights * (self._best - Y) / self._spread
        return -(weighted.amax(dim=-1) + AUGMENT * weighted.sum(dim=-1))


def simplex(objectives: int, generator: torch.Generator) -> Tensor:
    """Weights drawn uniformly among those that add up to 1."""
    drawn = -torch.rand(objectives, generator=generator, dtype=torch.double).clamp_min(1e-12).log()
    return drawn / drawn.sum()
