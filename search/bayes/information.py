"""What an observation teaches of the maximum: knowledge gradient, and two entropy searches.

For one objective; higher is better.  m, s^2: the posterior mean and variance at a point x, t^2 the
noise.  All are closed forms of the posterior at x and at a few fixed points, so that thousands of x
are scored at once: what BoTorch's qKnowledgeGradient does with its inner maximum over fixed points,
qLowerBoundMaxValueEntropy, and the lower bound of qJointEntropySearch.
"""

from dataclasses import dataclass

import torch
from botorch.utils.probability.utils import log_ndtr, log_phi
from torch import Tensor

from search.bayes.anchored import NUGGET, Observed

FANTASIES = 64
LEAST = 1e-9


class KnowledgeGradient:
    """E[max_k m'(x_k)] - max_k m(x_k), m' the mean after observing x, x_k some points and x itself.

    m'(x_k) = m(x_k) + z k(x_k, x) / sqrt(s^2 + t^2): a maximum of lines in one normal z, averaged
    over the middles of FANTASIES equally probable parts of it.  Frazier, "A Tutorial on Bayesian
    Optimization", 2018, section 4.2.
    """

    def __init__(self, observed: Observed, points: Tensor) -> None:
        self._observed, self._points = observed, points
        self._mean, self._V = observed.solve(points)
        middles = (torch.arange(FANTASIES, dtype=torch.double) + 0.5) / FANTASIES
        self._z: Tensor = torch.special.ndtri(middles)

    def __call__(self, X: Tensor) -> Tensor:
        """The gain at each of b points."""
        mean, V = self._observed.solve(X)
        variance = (1 - V.square().sum(0)).clamp_min(LEAST)
        step = (variance + self._observed.noise).sqrt()
        slopes = (self._observed.cross(self._points, X) - self._V.T @ V) / step
        # points x fantasies x b would be large: one fantasy at a time.
        own = variance / step
        highest = torch.stack(
            [
                torch.maximum((self._mean[:, None] + slopes * z).amax(dim=0), mean + own * z)
                for z in self._z
            ]
        )
        return highest.mean(dim=0) - torch.maximum(self._mean.max(), mean)


@dataclass(frozen=True, slots=True)
class Maxima:
    """Draws of the maximum: where, k x c, and how high, k."""

    points: Tensor
    values: Tensor

    @classmethod
    def drawn(
        cls, observed: Observed, X: Tensor, count: int, generator: torch.Generator
    ) -> "Maxima":
        """The maxima of draws of the posterior at the points."""
        mean, V = observed.solve(X)
        root = torch.linalg.cholesky(observed.joint(X, V) + NUGGET * torch.eye(len(X)).to(X))
        z = torch.randn(count, len(X), generator=generator, dtype=torch.double)
        values, places = (mean + z @ root.T).max(dim=1)
        return cls(X[places], values)


class MaxValueEntropy:
    """-1/2 E[log(1 - rho^2 r (g + r))], g = (y* - m) / s, r = phi(g) / Phi(g), rho^2 the part of
    the variance that is not noise.  Moss and others, "GIBBON", 2021, section 3.
    """  # fmt: skip

    def __init__(self, observed: Observed, maxima: Maxima) -> None:
        self._observed, self._maxima = observed, maxima

    def __call__(self, X: Tensor) -> Tensor:
        """The information gained at each of b points, in nats."""
        mean, sd = self._observed.marginal(X)
        left = _truncated((self._maxima.values[:, None] - mean) / sd)
        signal = sd.square() / (sd.square() + self._observed.noise)
        return -0.5 * (1 - signal * (1 - left)).clamp_min(LEAST).log().mean(dim=0)


class JointEntropy:
    """How much the entropy of y(x) falls when a maximum is known, where and how high, on average.

    Knowing it is an observation without noise there, and a ceiling everywhere.  Hvarfner and
    others, "Joint Entropy Search for Maximally-Informed Bayesian Optimization", 2022, section 4.
    """

    def __init__(self, observed: Observed, maxima: Maxima) -> None:
        self._observed, self._maxima = observed, maxima
        self._mean, self._V = observed.solve(maxima.points)
        self._variance = (1 - self._V.square().sum(0)).clamp_min(LEAST) + NUGGET

    def __call__(self, X: Tensor) -> Tensor:
        """The information gained at each of b points, in nats."""
        mean, V = self._observed.solve(X)
        variance = (1 - V.square().sum(0)).clamp_min(LEAST)
        edge = self._observed.cross(self._maxima.points, X) - self._V.T @ V
        weight = edge / self._variance[:, None]
        known_mean = mean + weight * (self._maxima.values - self._mean)[:, None]
        known = (variance - weight * edge).clamp_min(LEAST)
        left = _truncated((self._maxima.values[:, None] - known_mean) / known.sqrt())
        noise = self._observed.noise
        before, after = (variance + noise).log(), (known * left + noise).log()
        return 0.5 * (before - after).mean(dim=0)


def _truncated(g: Tensor) -> Tensor:
    """The part of a normal variance that is left below a ceiling g deviations above the mean."""
    r = (log_phi(g) - log_ndtr(g)).exp()
    return (1 - r * (g + r)).clamp(LEAST, 1.0)
