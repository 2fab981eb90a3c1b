"""Configs whose numbers waver when they are put to use, and what of that counts.

A config becomes a group of w: its numbers moved by normal noise of the given deviations on their
declared scales, the same w moves for every config, kept within the bounds.  An inactive parameter
does not move.  The draws of a group then become one, metric by metric, by the risk measure; that
makes of several objectives the risks of each by itself, not those of their joint distribution.
"""

from collections.abc import Mapping

import torch
from botorch.acquisition.risk_measures import CVaR, Expectation, RiskMeasureMCObjective, VaR
from botorch.utils.sampling import draw_sobol_normal_samples
from torch import Tensor

from search.encoding import Cube
from search.scales import Floats
from search.searchers.aims import Risk

MOVES = 16


class Wavering:
    """The groups of configs in one space, and the risk over a group."""

    def __init__(
        self, cube: Cube, noise: Mapping[str, float] | None, risk: Risk | None, seed: int
    ) -> None:
        self._cube = cube
        names = [parameter.name for parameter in cube.space.parameters]
        self._places = sorted(j for n in noise or {} if (j := names.index(n)) in cube.free)
        self.width = MOVES if self._places else 1
        self._measure = _measure(risk or Risk(), self.width)
        if self._places:
            sd = torch.tensor([(noise or {})[names[j]] for j in self._places], dtype=torch.double)
            z = draw_sobol_normal_samples(len(sd), MOVES, dtype=torch.double, seed=seed)
            self._moves: Tensor = z * sd

    def groups(self, rows: Floats) -> Tensor:
        """n x w x c features of n rows."""
        X = torch.from_numpy(self._cube.features(rows)).unsqueeze(1)
        if not self._places:
            return X
        active = torch.from_numpy(self._cube.active(rows))
        X = X.repeat(1, self.width, 1)
        for k, j in enumerate(self._places):
            column = self._cube.owners.index(self._cube.free.index(j))
            moved = X[..., column] + self._moves[:, k] * active[:, j, None]
            X[..., column] = moved.clamp(0, 1)
        return X

    def risk(self, draws: Tensor) -> Tensor:
        """... x metrics, of draws ... x w x metrics."""
        if self.width == 1:
            return draws.squeeze(-2)
        columns = [self._measure(draws[..., k : k + 1]) for k in range(draws.shape[-1])]
        return torch.cat(columns, dim=-1)


def _measure(risk: Risk, width: int) -> RiskMeasureMCObjective:
    match risk.measure:
        case "mean":
            return Expectation(n_w=width)
        case "value_at_risk":
            return VaR(alpha=risk.level, n_w=width)
        case "conditional_value_at_risk":
            return CVaR(alpha=risk.level, n_w=width)
