"""A weighted sum of models, each on targets of its own, and expected improvement under it.

With weights w that add up to 1, mean sum_i w_i m_i and variance sum_i w_i^2 v_i.  A model may look
at some columns of the features only.  A point that was evaluated, or is under way, counts as known
in every model, at what that model expects there: it is not proposed once more because a model of
another study knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.gp.improvement import log_expected_improvement
from search.gp.posterior import Posterior
from search.scales import Floats


@dataclass(frozen=True, slots=True)
class Part:
    """A model, the columns that it looks at, and its weight."""

    model: Posterior
    columns: Sequence[int]
    weight: float

    def pending(self, features: Floats) -> Part:
        """With these rows known at what is expected of them; raises LinAlgError."""
        return Part(self.model.pending(features[:, self.columns]), self.columns, self.weight)


@dataclass(frozen=True, slots=True)
class Mixture:
    """Models of weight above 0; `best` is the lowest mean at a known point, None before any."""

    parts: Sequence[Part]
    best: float | None = None

    def known(self, features: Floats) -> Mixture:
        """With these rows observed, of which `parts` know already."""
        if not len(features):
            return self
        lowest = float(self.believe(features)[0].min())
        return Mixture(self.parts, lowest if self.best is None else min(self.best, lowest))

    def pending(self, features: Floats) -> Mixture:
        """With these rows under way; raises LinAlgError."""
        if not len(features):
            return self
        return Mixture([part.pending(features) for part in self.parts], self.known(features).best)

    def believe(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and variance at rows of features."""
        mean, variance = np.zeros(len(features)), np.zeros(len(features))
        for part in self.parts:
            belief = part.model.believe(features[:, part.columns])
            mean += part.weight * belief.mean
            variance += part.weight**2 * belief.variance
        return mean, variance

    def acquisition(self, features: Floats) -> Floats:
        """The logarithm of expected improvement; before any point is known, minus the mean."""
        mean, variance = self.believe(features)
        if self.best is None:
            return -mean
        return log_expected_improvement(mean, np.sqrt(variance), self.best)
