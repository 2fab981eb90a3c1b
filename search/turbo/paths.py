"""Draws of a Gaussian process as functions, cheap at thousands of points.

A draw given observations is a draw f of the prior, put right where it was observed:

    f(x) + k(x, X) (K + v I)^-1 (y - f(X) - e),  e ~ N(0, v I)

Wilson and others, "Efficiently Sampling Functions from Gaussian Process Posteriors", 2020.  f is a
sum of random cosines whose frequencies come from the kernel's spectral density (Rahimi and Recht,
"Random Features for Large-Scale Kernel Machines", 2007), Student's t with five degrees of freedom
for Matern 5/2.  Drawn at thousands of points exactly, f would cost the cube of their number.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from search.gp.kernels import squared_distances
from search.gp.posterior import Posterior
from search.scales import Floats

COSINES = 512
MATERN_FREEDOM = 5.0
CHUNK = 1024  # points at a time


@dataclass(frozen=True, slots=True)
class Paths:
    """`count` functions on scaled features."""

    model: Posterior
    frequencies: Floats
    phases: Floats
    amplitudes: Floats
    corrections: Floats

    @classmethod
    def drawn(cls, model: Posterior, count: int, rng: np.random.Generator) -> "Paths":
        """From the posterior of a model with the Matern 5/2 kernel and no pending points."""
        n, c = model.X.shape
        stretch = np.sqrt(MATERN_FREEDOM / rng.chisquare(MATERN_FREEDOM, (COSINES, 1)))
        frequencies = stretch * rng.standard_normal((COSINES, c))
        phases = rng.uniform(0.0, 2 * np.pi, COSINES)
        amplitudes = np.sqrt(2.0 / COSINES) * rng.standard_normal((COSINES, count))
        noise = np.sqrt(model.noise) * rng.standard_normal((n, count))
        prior = np.cos(model.X @ frequencies.T + phases) @ amplitudes
        corrections = model.a[:, None] - cho_solve((model.L, True), prior + noise)
        return cls(model, frequencies, phases, amplitudes, corrections)

    def at(self, features: Floats) -> Floats:
        """Their values at rows of features, b x count."""
        starts = range(0, len(features), CHUNK)
        return np.concatenate([self._at(features[start : start + CHUNK]) for start in starts])

    def _at(self, features: Floats) -> Floats:
        X = features / self.model.scale
        near = self.model.kernel.correlation(squared_distances(X, self.model.X))
        prior = np.cos(X @ self.frequencies.T + self.phases) @ self.amplitudes
        values: Floats = self.model.mean + prior + near @ self.corrections
        return values
