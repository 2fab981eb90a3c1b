"""Expected hypervolume improvement in closed form, for independent normal outcomes.

A point y fills a box from l to u to the volume prod_k min(y_k - l_k, u_k - l_k)+, whose factors are
independent; so with the boxes that a front leaves open

    EHVI = sum over boxes of prod_k [psi_k(l_k) - psi_k(u_k)],   psi_k(a) = E[(y_k - a)+],

which is s h((m - a) / s), h(z) = phi(z) + z Phi(z), for a normal outcome with mean m and deviation
s.  Yang and others, "Efficient computation of expected hypervolume improvement using box
decomposition algorithms", 2019, section 3.  psi is worked out once for each number that bounds
boxes, of which there are as many as points.
"""

import numpy as np
from scipy.special import ndtr

from search.bayes.boxes import Boxes, Places
from search.gp.improvement import LOG_ROOT_TWO_PI, log_h
from search.scales import Floats

VANISHED = 1e-280  # below it factors were lost to underflow
CHUNK = 1_000_000  # numbers worked on at a time


class ExpectedVolume:
    """EHVI over one front, as a function of the means and deviations of new points."""

    def __init__(self, boxes: Boxes) -> None:
        self._grid: list[Floats] = []
        self._low: list[Places] = []
        self._high: list[Places] = []
        for low, high in zip(boxes.low.T, boxes.high.T, strict=True):
            grid, places = np.unique(np.concatenate([low, high]), return_inverse=True)
            self._grid.append(grid)
            self._low.append(places[: len(low)])
            self._high.append(places[len(low) :])

    @property
    def numbers(self) -> int:
        """How many numbers there are to work out for a new point."""
        return sum(map(len, self._low)) + 8 * sum(map(len, self._grid))

    def log(self, mean: Floats, sd: Floats) -> Floats:
        """The logarithm for n points, both n x m; finite however little there is to expect."""
        size = max(1, CHUNK // self.numbers)
        starts = range(0, len(mean), size)
        parts = [self._log(mean[at : at + size], sd[at : at + size]) for at in starts]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _log(self, mean: Floats, sd: Floats) -> Floats:
        volume = self._volume(mean, sd)
        lost = volume < VANISHED
        found: Floats = np.log(np.where(lost, 1.0, volume))
        if lost.any():
            found[lost] = self._log_lost(mean[lost], sd[lost])
        return found

    def _volume(self, mean: Floats, sd: Floats) -> Floats:
        filled = np.ones(1)
        for k, grid in enumerate(self._grid):
            psi = _expected_above(grid, mean[:, k], sd[:, k])
            filled = filled * (psi[:, self._low[k]] - psi[:, self._high[k]])
        total: Floats = filled.sum(axis=1)
        return total

    def _log_lost(self, mean: Floats, sd: Floats) -> Floats:
        """Of what is lost to underflow: the best box, as if it had no upper end."""
        logs = np.zeros(1)
        for k, grid in enumerate(self._grid):
            ends = grid[np.isfinite(grid)]
            z = (mean[:, k, None] - ends) / sd[:, k, None]
            logs = logs + (np.log(sd[:, k, None]) + log_h(z))[:, self._low[k]]
        best: Floats = logs.max(axis=1)
        return np.minimum(best, np.log(VANISHED))


def _expected_above(grid: Floats, mean: Floats, sd: Floats) -> Floats:
    """psi, n x grid; 0 where the grid is infinite."""
    z = np.divide(mean[:, None] - grid, sd[:, None])
    with np.errstate(invalid="ignore", under="ignore"):
        h = np.exp(-0.5 * np.square(z) - LOG_ROOT_TWO_PI) + z * ndtr(z)
    return sd[:, None] * np.where(np.isinf(z), 0.0, np.maximum(h, 0.0))
