"""A Gaussian process with the sparse axis-aligned (SAAS) prior, by maximum a posteriori.

    k = s c(r^2),  r^2 = sum_i rho_i D_i,  c Matern with smoothness 5/2
    rho_i ~ half-Cauchy(tau), rho_i = 1 / l_i^2;  s ~ Gamma(2, 0.15);  noise v ~ Gamma(0.9, 10)

tau says how many parameters matter.  The prior is flat near rho_i = 0, where parameters that do
not matter end, and has tails heavy enough for those that do.  Eriksson and Jankowiak,
"High-Dimensional Bayesian Optimization with Sparse Axis-Aligned Subspaces", 2021, sample all of
it, tau ~ half-Cauchy(0.1) included; here tau takes the middles of four equally probable parts of
its prior, each with hyperparameters of its own, and the four models count alike.  The constant mean
is that of generalised least squares.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from search.gp.fit import NUGGET, Points
from search.gp.kernels import MATERN, squared_distances
from search.scales import Floats
from search.surrogates.climbing import climb
from search.surrogates.gaussian import Covariance, Gaussian, Mixture
from search.surrogates.levelled import Sides, levelled
from search.surrogates.surrogate import Observed
from search.targets import telling

TAUS = tuple(0.1 * math.tan(math.pi / 2 * quantile) for quantile in (7 / 8, 5 / 8, 3 / 8, 1 / 8))
RHO = 1e-7, 1e4  # bounds
SCALE, NOISE = (1e-2, 1e2), (1e-6, 1.0)
FIT_POINTS = 150  # a marginal likelihood costs the cube of the points


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a fit finds: rho for every parameter, s and v."""

    rho: Floats
    scale: float
    noise: float

    @classmethod
    def at(cls, theta: Floats) -> "Hyperparameters":
        """From the logarithms, in that order."""
        values = np.exp(theta)
        return cls(values[:-2], float(values[-2]), float(values[-1]))

    @property
    def lengths(self) -> Floats:
        """The length scales."""
        return 1.0 / np.sqrt(self.rho)


@final
@dataclass(frozen=True, slots=True)
class ArdCovariance(Covariance):
    """scale times Matern, columns multiplied with `weights` beforehand."""

    weights: Floats
    scale: float

    def cross(self, A: Floats, B: Floats) -> Floats:
        s = squared_distances(A * self.weights, B * self.weights)
        return self.scale * MATERN.correlation(s)

    def diagonal(self, A: Floats) -> Floats:
        return np.full(len(A), self.scale)


class Evidence:
    """What a fit minimises, as a function of theta = (ln rho, ln s, ln v), with its gradient."""

    def __init__(self, points: Points, y: Floats, tau: float) -> None:
        self.points, self.tau = points, tau
        self._sides = Sides(y)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """The value and its gradient; raises LinAlgError where K cannot be factored."""
        points, at = self.points, Hyperparameters.at(theta)
        c, slope = MATERN.with_slope(at.rho @ points.D)
        noise = at.noise + NUGGET
        factor = cho_factor(self._matrix(at.scale * c, at.scale + noise), lower=True)
        a, fit = self._sides.residual(factor)
        inverse = cho_solve(factor, np.eye(points.n))
        pull = inverse[points.rows, points.columns] - a[points.rows] * a[points.columns]
        # K^-1 - aa' against K = s c + noise I tells the slope by ln s from that by the noise.
        spare = float(np.trace(inverse) - a @ a)
        value, gradient = log_prior(at, self.tau)
        gradient[:-2] -= 0.5 * at.scale * at.rho * (points.D @ (pull * slope))
        gradient[-2] += 0.5 * (points.n - fit - noise * spare)
        gradient[-1] += 0.5 * at.noise * spare
        return value + 0.5 * fit + float(np.log(factor[0].diagonal()).sum()), gradient

    def _matrix(self, lower: Floats, diagonal: float) -> Floats:
        K: Floats = np.diag(np.full(self.points.n, diagonal))
        K[self.points.rows, self.points.columns] = lower
        return K


def log_prior(at: Hyperparameters, tau: float) -> tuple[float, Floats]:
    """What the priors add to the objective, and the gradient by the logarithms."""
    ratio = np.square(at.rho / tau)
    value = float(np.log1p(ratio).sum())
    value += 0.15 * at.scale - math.log(at.scale) + 10.0 * at.noise + 0.1 * math.log(at.noise)
    rest = [0.15 * at.scale - 1.0, 10.0 * at.noise + 0.1]
    return value, np.concatenate([2.0 * ratio / (1.0 + ratio), rest])


def fit_hyperparameters(points: Points, y: Floats, evaluations: int) -> list[Hyperparameters]:
    """The most probable ones for each tau, largest first; `evaluations` in all, at most.

    Each climb begins once where every parameter matters and once where the climb before ended:
    from a rho near 0 there is no way back.
    """
    p, share = len(points.D), evaluations // (2 * len(TAUS))
    fresh = np.log([*[1.0 / (0.36 * p)] * p, 1.0, 1e-2])
    found: list[Floats] = []
    for tau in TAUS:
        evidence = Evidence(points, y, tau)
        climbs = [_climb(evidence, start, share) for start in (fresh, *found[-1:])]
        value, theta = min(climbs, key=lambda found: found[0])
        if not math.isfinite(value):
            raise FloatingPointError("the marginal likelihood has no finite maximum")
        found.append(theta)
    return [Hyperparameters.at(theta) for theta in found]


def _climb(evidence: Evidence, start: Floats, evaluations: int) -> tuple[float, Floats]:
    bounds = np.log([RHO] * (len(start) - 2) + [SCALE, NOISE])
    return climb(evidence, start, bounds, evaluations)


def fit(observed: Observed, evaluations: int, rng: np.random.Generator) -> Mixture:
    """The four models of the observations, fitted on at most FIT_POINTS of them."""
    some = telling(observed.y.tolist(), FIT_POINTS, rng)
    points = Points(observed.X[some], observed.owners)
    found = fit_hyperparameters(points, observed.y[some], evaluations)
    return posterior(observed, found)


def posterior(observed: Observed, found: Sequence[Hyperparameters]) -> Mixture:
    """The models with these hyperparameters."""
    return Mixture([_given(observed, at) for at in found])


def _given(observed: Observed, at: Hyperparameters) -> Gaussian:
    covariance = ArdCovariance(np.sqrt(at.rho)[observed.owners], at.scale)
    return levelled(covariance, observed.X, observed.y, at.noise + NUGGET)
