"""When a trust region grows, shrinks and ends.

Eriksson and others, "Scalable Global Optimization via Local Bayesian Optimization", 2019: SUCCESSES
batches in a row that improve on the region's best double its length, failures in a row halve it,
and a region that has become shorter than SHORTEST gives way to a new one, which knows nothing of
what is best elsewhere.  They count failing batches up to ceil(max(4, d) / q), q points each; here
the points of failing batches are counted, up to max(4, d), which is the same where q stays the
same and makes sense where it does not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

FIRST, SHORTEST, LONGEST = 0.8, 2.0**-7, 1.6  # lengths
SUCCESSES = 3
GAIN = 1e-3  # the part of the best loss's size that an improvement must exceed


@dataclass(frozen=True, slots=True)
class Rules:
    """What depends on the study: the number of a region's design points, and of parameters."""

    design: int
    parameters: int

    @property
    def patience(self) -> int:
        """How many points in a row may fail."""
        return max(4, self.parameters)


@dataclass(frozen=True, slots=True)
class Region:
    """A trust region as its trials have left it; `number` counts the study's regions from 0.

    `trials` counts its trials, whatever their state, and `best` is its lowest measured loss.
    """

    number: int = 0
    trials: int = 0
    length: float = FIRST
    best: float = math.inf
    successes: int = 0
    failures: int = 0

    @property
    def ended(self) -> bool:
        """Whether it is too short to go on."""
        return self.length < SHORTEST

    def saw(self, losses: Sequence[float], pending: int, rules: Rules) -> "Region":
        """After trials proposed together: the losses of those that ended, +inf for bad points.

        Design points only say where the region is.  A batch without success fails once all of it
        has ended.
        """
        best = min([self.best, *losses])
        trials = self.trials + len(losses) + pending
        now = replace(self, best=best, trials=trials)
        if self.trials < rules.design or (pending and not self._gains(best)) or not losses:
            return now
        if self._gains(best):
            return replace(now, successes=self.successes + 1, failures=0)._resized(rules)
        return replace(now, successes=0, failures=self.failures + len(losses))._resized(rules)

    def _gains(self, best: float) -> bool:
        if not math.isfinite(self.best):
            return best < self.best
        return best < self.best - GAIN * abs(self.best)

    def _resized(self, rules: Rules) -> "Region":
        if self.successes >= SUCCESSES:
            return replace(self, length=min(2 * self.length, LONGEST), successes=0)
        if self.failures >= rules.patience:
            return replace(self, length=self.length / 2, failures=0)
        return self
