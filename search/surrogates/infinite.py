"""Networks of infinite width: the Gaussian process that a random ReLU network tends to.

    K0(x, x')     = b + w <x, x'> / p
    K(l+1)(x, x') = b + w F,  F = sqrt(K_xx K_x'x') (sin t + (pi - t) cos t) / (2 pi),
    cos t         = K_xx' / sqrt(K_xx K_x'x')

with b and w the variances of biases and weights and p the number of parameters.  Cho and Saul,
"Kernel Methods for Deep Learning", 2009; Lee and others, "Deep Neural Networks as Gaussian
Processes", 2018.  Li and others, "A Study of Bayesian Neural Network Surrogates for Bayesian
Optimization", 2024, found it strong where dimensions are many: unlike a stationary kernel it does
not take every corner of the space for equally unknown.

Here k = s K / k0, k0 the mean of K's diagonal over the observations.  The weights' and biases'
variances and the noise r, relative to s, are fitted by maximum a posteriori; s follows from them:
it is (y'(K / k0 + r I)^-1 y + 1) / (n + 1), one observation of unit size added, so that losses
which are all equal have a scale too.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from search.scales import Floats
from search.surrogates.climbing import climb
from search.surrogates.gaussian import Covariance, Gaussian
from search.surrogates.inputs import network_inputs
from search.surrogates.surrogate import Observed

# Of ln w, ln b and ln r: where the priors are centred, how wide they are, and how far one goes.
CENTRE = np.array([math.log(10.0), math.log(1.3), -4.0])
WIDTH = np.array([3.0, 3.0, 3.0])
REACH = 6.0


@dataclass(frozen=True, slots=True)
class Gram:
    """A covariance, or how it changes, with its margins: |A| x |B|, |A| x 1 and 1 x |B|."""

    xy: Floats
    xx: Floats
    yy: Floats

    def scaled(self, factor: float, shift: float = 0.0) -> "Gram":
        """factor times it, plus a constant."""
        return Gram(*(shift + factor * part for part in (self.xy, self.xx, self.yy)))

    def plus(self, other: "Gram") -> "Gram":
        """The sum."""
        return Gram(self.xy + other.xy, self.xx + other.xx, self.yy + other.yy)


def inner(A: Floats, B: Floats, p: int) -> Gram:
    """<x, x'> / p."""
    xx, yy = np.square(A).sum(axis=1)[:, None], np.square(B).sum(axis=1)[None]
    return Gram(A @ B.T / p, xx / p, yy / p)


def _angle(gram: Gram) -> tuple[Floats, Floats]:
    """cos t and t."""
    cos = np.clip(gram.xy / np.sqrt(gram.xx * gram.yy), -1.0, 1.0)
    return cos, np.arccos(cos)


def rectified(gram: Gram) -> Gram:
    """F: what two rectified linear units' product is on average, given that of their inputs."""
    cos, t = _angle(gram)
    F = np.sqrt(gram.xx * gram.yy) * (np.sin(t) + (np.pi - t) * cos) / (2 * np.pi)
    return Gram(F, gram.xx / 2, gram.yy / 2)


def rectified_slope(gram: Gram, change: Gram) -> Gram:
    """How F changes as its argument does."""
    _, t = _angle(gram)
    ratio = np.sqrt(gram.yy / gram.xx)
    margins = ratio * change.xx + change.yy / ratio
    F = (np.pi - t) / (2 * np.pi) * change.xy + np.sin(t) / (4 * np.pi) * margins
    return Gram(F, change.xx / 2, change.yy / 2)


def infinite_width(start: Gram, *, depth: int, weight: float, bias: float) -> Gram:
    """The covariance of networks with `depth` hidden layers, given that of their inputs."""
    gram = start.scaled(weight, bias)
    for _ in range(depth):
        gram = rectified(gram).scaled(weight, bias)
    return gram


def with_slopes(start: Gram, *, depth: int, weight: float, bias: float) -> tuple[Gram, Gram, Gram]:
    """The same, and its derivatives by ln weight and by ln bias."""
    gram, by_weight = start.scaled(weight, bias), start.scaled(weight)
    by_bias = start.scaled(0.0, bias)
    for _ in range(depth):
        F = rectified(gram)
        by_weight = F.plus(rectified_slope(gram, by_weight)).scaled(weight)
        by_bias = rectified_slope(gram, by_bias).scaled(weight, bias)
        gram = F.scaled(weight, bias)
    return gram, by_weight, by_bias


@final
@dataclass(frozen=True, slots=True)
class InfiniteWidthCovariance(Covariance):
    """factor times the covariance of infinitely wide networks, at rows of features."""

    owners: list[int]
    depth: int
    weight: float
    bias: float
    factor: float = 1.0

    def cross(self, A: Floats, B: Floats) -> Floats:
        return self.factor * self._gram(A, B).xy

    def diagonal(self, A: Floats) -> Floats:
        return self.factor * self._gram(A, A[:1]).xx[:, 0]

    def _gram(self, A: Floats, B: Floats) -> Gram:
        A, B = network_inputs(A, self.owners), network_inputs(B, self.owners)
        start = inner(A, B, max(self.owners) + 1)
        return infinite_width(start, depth=self.depth, weight=self.weight, bias=self.bias)


class Evidence:
    """What a fit minimises, as a function of theta = (ln w, ln b, ln r), with its gradient."""

    def __init__(self, observed: Observed, depth: int) -> None:
        X = network_inputs(observed.X, observed.owners)
        self._start, self._y, self._depth = inner(X, X, observed.parameters), observed.y, depth

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """The value and its gradient; raises LinAlgError."""
        weight, bias, noise = np.exp(theta)
        grams = with_slopes(self._start, depth=self._depth, weight=weight, bias=bias)
        K, by_weight, by_bias = (gram.xy / grams[0].xx.mean() for gram in grams)
        sizes = [gram.xx.mean() / grams[0].xx.mean() for gram in grams]
        slopes = [by_weight - sizes[1] * K, by_bias - sizes[2] * K]
        K[np.diag_indices_from(K)] += noise
        value, pull = self._evidence(K)
        gradient = [0.5 * float(np.sum(pull * slope)) for slope in slopes]
        gradient.append(0.5 * noise * float(np.trace(pull)))
        off = (theta - CENTRE) / WIDTH
        return value + 0.5 * float(off @ off), np.array(gradient) + off / WIDTH

    def scale(self, theta: Floats) -> float:
        """s, what the covariance is to be multiplied with."""
        weight, bias, noise = np.exp(theta)
        gram = infinite_width(self._start, depth=self._depth, weight=weight, bias=bias)
        K = gram.xy / gram.xx.mean()
        K[np.diag_indices_from(K)] += noise
        fit = float(self._y @ cho_solve(cho_factor(K, lower=True), self._y))
        return (fit + 1.0) / (len(K) + 1) / float(gram.xx.mean())

    def _evidence(self, K: Floats) -> tuple[float, Floats]:
        """The value without priors, and twice its derivative by K."""
        n = len(K)
        factor = cho_factor(K, lower=True)
        a, inverse = cho_solve(factor, self._y), cho_solve(factor, np.eye(n))
        fit = float(self._y @ a)
        half_log_det = float(np.log(factor[0].diagonal()).sum())
        value = 0.5 * (n + 1) * math.log((fit + 1.0) / (n + 1)) + half_log_det
        return value, inverse - np.outer(a, a) * ((n + 1) / (fit + 1.0))


def fit(observed: Observed, depth: int, evaluations: int) -> Gaussian:
    """The process with the most probable variances that at most so many evaluations find."""
    evidence = Evidence(observed, depth)
    bounds = list(zip(CENTRE - REACH, CENTRE + REACH, strict=True))
    _, theta = climb(evidence, CENTRE, bounds, evaluations)
    weight, bias, noise = np.exp(theta)
    factor = evidence.scale(theta)
    covariance = InfiniteWidthCovariance(observed.owners, depth, weight, bias, factor)
    # The noise is relative to the mean of the diagonal.
    level = float(covariance.diagonal(observed.X).mean())
    return Gaussian.of(covariance, observed.X, observed.y, noise * level)
