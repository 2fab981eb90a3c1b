"""The model of losses at any depth, and its hyperparameters by maximum a posteriori.

A loss at config x and depth s (0 shallow, 1 a full run, even in the logarithm of the steps) is a
mean, what the config is worth in the end, and what is still missing at that depth, in part the same
for all configs:

    K((x, s), (x', s')) = v C(x, x') + q(s) q(s') (a + b C(x, x'))
    q(s) = (exp(-k s) - exp(-k)) / (1 - exp(-k))

with the Matern correlation C of length scales l.  With k near 0 q is 1 - s, and this the linear
truncated fidelity kernel of Wu and others, "Practical Multi-fidelity Bayesian Optimization for
Hyperparameter Tuning", 2019, with power 0, one set of length scales, and a part a in which configs
do not differ.  Curves that fall like a power of the steps have q with k above 0.  What the kernel
cannot explain is more of the shallow than of the deep: the noise is n + e q(s)^2.  Priors are those
of search/gp/fit.py for l and the noise, and normal ones on ln v, ln a, ln b, ln e and ln k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.optimize import minimize

from search.gp.fit import LENGTH, NOISE, NUGGET, Points, cold_starts, log_prior
from search.gp.kernels import MATERN
from search.scales import Floats

SCALES = 5  # v, a, b, e, k
PRIOR_MEAN = np.array([-1.0, -1.0, -2.0, -7.0, math.log(2.0)])
PRIOR_SD = np.array([2.0, 2.0, 2.0, 2.0, 0.5])
BOUNDS = [(math.log(1e-6), math.log(1e3))] * 4 + [(math.log(0.05), math.log(20.0))]
STARTS = np.array([[-0.5, -1.0, -2.0, -7.0, 0.7], [-2.0, 0.0, -2.0, -4.0, 0.7]])


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a fit finds: length scales, v, a, b, e, k and the variance n of the noise."""

    lengths: Floats
    end: float
    common: float
    own: float
    shallow: float
    decay: float
    noise: float

    @classmethod
    def of(cls, theta: Floats) -> Hyperparameters:
        """From their logarithms, in the order l, v, a, b, e, k, n."""
        found = np.exp(theta)
        return cls(found[: -SCALES - 1], *found[-SCALES - 1 :].tolist())

    def missing(self, depths: Floats) -> Floats:
        """q of depths."""
        return missing(depths, self.decay)[0]


def missing(depths: Floats, k: float) -> tuple[Floats, Floats]:
    """q of depths, and its derivative by k."""
    decayed, rest = np.exp(-k * depths), math.exp(-k)
    q = (decayed - rest) / (1.0 - rest)
    slope = (rest - depths * decayed - q * rest) / (1.0 - rest)
    return q, slope


class Evidence:
    """What a fit minimises, as a function of the logarithms, with its gradient."""

    def __init__(self, points: Points, depths: Floats, y: Floats) -> None:
        self.points, self.depths = points, depths
        self._sides = np.stack([y, np.ones_like(y)], axis=1)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """The value and its gradient; raises LinAlgError where K cannot be factored."""
        lengths, scales, noise = theta[: -SCALES - 1], theta[-SCALES - 1 : -1], theta[-1]
        v, a, b, e, k = np.exp(scales)
        q, by_k = missing(self.depths, k)
        T = np.outer(q, q)
        weights = np.exp(-2.0 * lengths)
        C, slope = self._correlation(weights)
        parts = (v * C, a * T, b * T * C, np.diag(e * q * q))
        K = sum(parts) + (math.exp(noise) + NUGGET) * np.eye(self.points.n)
        value, P = self._solved(K)
        prior, gradient = log_prior(np.append(lengths, noise))
        inner = (P * (v + b * T))[self.points.rows, self.points.columns]
        of_lengths = gradient[:-1] + weights * (self.points.D @ (inner * slope))
        of_scales = [0.5 * float((P * part).sum()) for part in parts]
        of_scales.append(k * float(q @ (P * (a + b * C + e * np.eye(len(q)))) @ by_k))
        of_noise = gradient[-1] + 0.5 * math.exp(noise) * float(np.trace(P))
        off = (scales - PRIOR_MEAN) / PRIOR_SD
        slopes = np.array(of_scales) + off / PRIOR_SD
        value += prior + 0.5 * float(off @ off)
        return value, np.concatenate([of_lengths, slopes, [of_noise]])

    def _correlation(self, weights: Floats) -> tuple[Floats, Floats]:
        pairs, slope = MATERN.with_slope(weights @ self.points.D)
        C = np.eye(self.points.n)
        C[self.points.rows, self.points.columns] = pairs
        C[self.points.columns, self.points.rows] = pairs
        return C, slope

    def _solved(self, K: Floats) -> tuple[float, Floats]:
        """The negative log likelihood, and P = K^-1 - r r' with r = K^-1 (y - m)."""
        L, info = dpotrf(K, lower=1)
        if info:
            raise np.linalg.LinAlgError("the covariance is not positive definite")
        lower, _ = dpotri(L, lower=1)
        inverse = np.tril(lower) + np.tril(lower, -1).T
        solved = inverse @ self._sides
        m = solved[:, 0].sum() / solved[:, 1].sum()
        r = solved[:, 0] - m * solved[:, 1]
        value = 0.5 * float((self._sides[:, 0] - m) @ r) + float(np.log(L.diagonal()).sum())
        return value, inverse - np.outer(r, r)


def fit(
    features: Floats, owners: list[int], depths: Floats, y: Floats, evaluations: int
) -> Hyperparameters:
    """The most probable hyperparameters from two starts."""
    evidence = Evidence(Points(features, owners), depths, y)
    p = max(owners) + 1
    bounds = np.array([np.log(LENGTH)] * p + BOUNDS + [np.log(NOISE)])
    climbs = [
        minimize(
            evidence,
            np.concatenate([np.log(cold.lengths), scales, [math.log(cold.noise)]]),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxfun": max(1, evaluations // len(STARTS)), "ftol": 1e-5},
        )
        for cold, scales in zip(cold_starts(p), STARTS, strict=True)
    ]
    best = min(climbs, key=lambda climb: float(climb.fun))
    if not math.isfinite(best.fun):
        raise FloatingPointError("the marginal likelihood has no finite maximum")
    return Hyperparameters.of(best.x)
