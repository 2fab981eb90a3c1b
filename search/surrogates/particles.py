"""Models that are a handful of functions, taken as equally likely.

Between few functions there is nothing, where a posterior has plenty.  So each stands for a normal
distribution about it, as in a kernel density estimate, drawn towards their mean by as much as keeps
mean and variance what they were (Liu and West, "Combined Parameter and State Estimation in
Simulation-Based Filtering", 2001).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from search.gp.kernels import squared_distances
from search.scales import Floats
from search.surrogates.surrogate import Draws, Model

SMALLEST_SD = 1e-6
NEAR = 0.05  # how far, of a parameter's scale, what is known at an anchor reaches, squared


@final
@dataclass(frozen=True, slots=True)
class Particles(Model):
    """`count` functions of rows of features: their values there, count x n."""

    values: Callable[[Floats], Floats]
    count: int

    def moments(self, X: Floats) -> tuple[Floats, Floats]:
        values = self.values(X)
        return values.mean(axis=0), np.maximum(values.std(axis=0), SMALLEST_SD)

    def anchored(self, X: Floats, count: int, rng: np.random.Generator) -> "AnchoredParticles":
        return AnchoredParticles(self, X)

    def drawn_together(self, X: Floats) -> tuple[Floats, Floats]:
        """Each function, moved towards their mean, and how far each still spreads."""
        values = self.values(X)
        mean, spread = values.mean(axis=0), values.std(axis=0)
        return mean + np.sqrt(1 - self.width**2) * (values - mean), self.width * spread

    @property
    def width(self) -> float:
        """Of each function's normal distribution, in standard deviations of all: Silverman's."""
        return float(self.count**-0.2)


@final
class AnchoredParticles(Draws):
    """The functions; near an anchor they do not spread, for it is known what they are there."""

    def __init__(self, model: Particles, X: Floats) -> None:
        self._model, self._X = model, X
        self.values = model.drawn_together(X)[0]

    def believe(self, X: Floats) -> tuple[Floats, Floats]:
        mean, spread = self._model.drawn_together(X)
        nearest = squared_distances(X, self._X).min(axis=1)
        open_ = np.sqrt(-np.expm1(-nearest / NEAR**2))
        sd = np.maximum(spread * open_, SMALLEST_SD)
        return mean, np.broadcast_to(sd, mean.shape)
