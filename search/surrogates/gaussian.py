"""Models whose beliefs are jointly normal, and mixtures of them.

With K = k(X, X) + noise I = L L' and a = K^-1 (y - t(X)), where t is a trend known beforehand, the
mean at points A is t(A) + k(A, X) a and their covariance k(A, A) - V'V with V = L^-1 k(X, A).
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, algorithm 2.1.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from search.scales import Floats
from search.surrogates.surrogate import Draws, Model

SMALLEST_VARIANCE = 1e-12
JITTER = 1e-8  # of the mean variance: joint posteriors of neighbours are singular to rounding


class Covariance(ABC):
    """A prior covariance of the loss at rows of features."""

    @abstractmethod
    def cross(self, A: Floats, B: Floats) -> Floats:
        """|A| x |B|."""

    @abstractmethod
    def diagonal(self, A: Floats) -> Floats:
        """The variance at each row of A."""


@dataclass(frozen=True, slots=True)
class Solved:
    """What is believed of some rows: mean, variance, and V, which holds their covariances."""

    mean: Floats
    variance: Floats
    V: Floats


@final
@dataclass(frozen=True, slots=True)
class Gaussian(Model):
    """A Gaussian process given observations."""

    covariance: Covariance
    trend: Callable[[Floats], Floats]
    X: Floats
    L: Floats
    a: Floats

    @classmethod
    def of(
        cls,
        covariance: Covariance,
        X: Floats,
        y: Floats,
        noise: float,
        trend: Callable[[Floats], Floats] | float = 0.0,
    ) -> "Gaussian":
        """Given y, with noise of this variance, at rows of features; raises LinAlgError."""
        known = trend if callable(trend) else constant(trend)
        K = covariance.cross(X, X)
        K[np.diag_indices_from(K)] += noise
        L = cholesky(K, lower=True)
        half = solve_triangular(L, y - known(X), lower=True)
        return cls(covariance, known, X, L, solve_triangular(L, half, lower=True, trans="T"))

    def solve(self, A: Floats) -> Solved:
        """At rows of features."""
        K = self.covariance.cross(self.X, A)
        V = solve_triangular(self.L, K, lower=True)
        variance = self.covariance.diagonal(A) - np.square(V).sum(axis=0)
        return Solved(self.trend(A) + self.a @ K, variance, V)

    def moments(self, X: Floats) -> tuple[Floats, Floats]:
        solved = self.solve(X)
        return solved.mean, _sd(solved.variance)

    def anchored(self, X: Floats, count: int, rng: np.random.Generator) -> "AnchoredGaussian":
        solved = self.solve(X)
        joint = self.covariance.cross(X, X) - solved.V.T @ solved.V
        joint[np.diag_indices_from(joint)] += JITTER * float(self.covariance.diagonal(X).mean())
        half = rng.standard_normal((count - count // 2, len(X)))
        z = np.concatenate([half, -half])[:count]  # antithetic: their mean is the model's
        return AnchoredGaussian(self, X, solved, cholesky(joint, lower=True), z)


@final
class AnchoredGaussian(Draws):
    """Draws z of a Gaussian process at anchors: m + R z, with R R' their covariance."""

    def __init__(self, model: Gaussian, X: Floats, solved: Solved, R: Floats, z: Floats) -> None:
        self._model, self._X, self._V, self._R, self._z = model, X, solved.V, R, z
        self.values = solved.mean + z @ R.T

    def believe(self, X: Floats) -> tuple[Floats, Floats]:
        solved = self._model.solve(X)
        edge = self._model.covariance.cross(self._X, X) - self._V.T @ solved.V
        W = solve_triangular(self._R, edge, lower=True)
        mean = solved.mean + self._z @ W
        sd = _sd(solved.variance - np.square(W).sum(axis=0))
        return mean, np.broadcast_to(sd, mean.shape)


@final
@dataclass(frozen=True, slots=True)
class Mixture(Model):
    """Several models, each as likely as the others."""

    parts: Sequence[Model]

    def moments(self, X: Floats) -> tuple[Floats, Floats]:
        believed = [part.moments(X) for part in self.parts]
        means, sds = (np.stack(each) for each in zip(*believed, strict=True))
        return means.mean(axis=0), np.sqrt(np.square(sds).mean(axis=0) + means.var(axis=0))

    def anchored(self, X: Floats, count: int, rng: np.random.Generator) -> "AnchoredMixture":
        share = -(-count // len(self.parts))
        return AnchoredMixture([part.anchored(X, share, rng) for part in self.parts])


@final
class AnchoredMixture(Draws):
    """The draws of all parts, as many of each."""

    def __init__(self, parts: Sequence[Draws]) -> None:
        self._parts = parts
        self.values = np.concatenate([part.values for part in parts])

    def believe(self, X: Floats) -> tuple[Floats, Floats]:
        means, sds = zip(*(part.believe(X) for part in self._parts), strict=True)
        return np.concatenate(means), np.concatenate(sds)


def constant(value: float) -> Callable[[Floats], Floats]:
    """The trend that is the same everywhere."""
    return lambda X: np.full(len(X), value)


def _sd(variance: Floats) -> Floats:
    found: Floats = np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))
    return found
