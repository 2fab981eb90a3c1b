"""A Gaussian process on what a network makes of a config: deep kernel learning.

    k(x, x') = s c(|g(x; w) - g(x'; w)|^2),  c Matern with smoothness 5/2

and w, s and the noise v are those that minimise minus the log marginal likelihood plus minus the
log density of the priors: w ~ N(0, I), ln s ~ N(0, 1), ln v ~ N(-4, 1).  The constant mean is that
of generalised least squares.  Wilson and others, "Deep Kernel Learning", 2016; without the prior on
w it fits few observations too well (Ober and others, "The Promises and Pitfalls of Deep Kernel
Learning", 2021).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from search.gp.kernels import MATERN, squared_distances
from search.scales import Floats
from search.surrogates.adam import descend
from search.surrogates.gaussian import Covariance, Gaussian
from search.surrogates.inputs import network_inputs
from search.surrogates.levelled import Sides, levelled
from search.surrogates.network import Network
from search.surrogates.surrogate import Observed
from search.targets import telling

NUGGET = 1e-6
QUIET = -4.0  # where the prior of ln v is centred
FIT_POINTS = 150  # a marginal likelihood costs the cube of the points
STARTS, RATE = 2, 0.02


@final
@dataclass(frozen=True, slots=True)
class DeepCovariance(Covariance):
    """The kernel, at rows of features."""

    network: Network
    w: Floats
    owners: list[int]
    scale: float

    def cross(self, A: Floats, B: Floats) -> Floats:
        s = squared_distances(self.embedded(A), self.embedded(B))
        return self.scale * MATERN.correlation(s)

    def diagonal(self, A: Floats) -> Floats:
        return np.full(len(A), self.scale)

    def embedded(self, X: Floats) -> Floats:
        """What the network makes of rows of features."""
        passed = self.network.forward(self.w[None], network_inputs(X, self.owners))
        found: Floats = passed[-1][0]
        return found


class Evidence:
    """What a fit minimises, as a function of theta = (w, ln s, ln v), with its gradient."""

    def __init__(self, network: Network, X: Floats, y: Floats) -> None:
        self.network, self.X = network, X
        self._sides = Sides(y)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """The value and its gradient; raises LinAlgError where K cannot be factored."""
        w, (scale, noise) = theta[None, :-2], np.exp(theta[-2:])
        passed = self.network.forward(w, self.X)
        Z, n = passed[-1][0], len(self.X)
        c, slope = MATERN.with_slope(squared_distances(Z, Z))
        K = scale * c + (noise + NUGGET) * np.eye(n)
        factor = cho_factor(K, lower=True)
        a, fit = self._sides.residual(factor)
        pull = 0.5 * (cho_solve(factor, np.eye(n)) - np.outer(a, a))
        # dc/ds is -slope / 2, s_ij moves by 2 (z_i - z_j) with z_i, and so does s_ji.
        H = -2.0 * scale * pull * slope
        by_Z = H.sum(axis=1)[:, None] * Z - H @ Z
        gradient = theta.copy()
        gradient[-1] -= QUIET
        value = 0.5 * fit + float(np.log(factor[0].diagonal()).sum())
        value += 0.5 * float(gradient @ gradient)
        gradient[:-2] += self.network.pulled(w, passed, by_Z[None])[0]
        gradient[-2:] += scale * float(np.sum(pull * c)), noise * float(np.trace(pull))
        return value, gradient


def fit(
    observed: Observed, hidden: tuple[int, ...], *, steps: int, rng: np.random.Generator
) -> Gaussian:
    """The process on the best of STARTS trained networks."""
    some = telling(observed.y.tolist(), FIT_POINTS, rng)
    X = network_inputs(observed.X[some], observed.owners)
    network = Network((X.shape[1], *hidden))
    evidence = Evidence(network, X, observed.y[some])
    found = [_trained(evidence, steps, rng) for _ in range(STARTS)]
    return posterior(network, min(found, key=lambda theta: evidence(theta)[0]), observed)


def posterior(network: Network, theta: Floats, observed: Observed) -> Gaussian:
    """The process with these parameters, given the observations."""
    scale, noise = np.exp(theta[-2:]).tolist()
    covariance = DeepCovariance(network, theta[:-2], observed.owners, scale)
    return levelled(covariance, observed.X, observed.y, noise + NUGGET)


def _trained(evidence: Evidence, steps: int, rng: np.random.Generator) -> Floats:
    start = np.concatenate([rng.standard_normal(evidence.network.size), [0.0, QUIET]])
    found: Floats = descend(lambda w: evidence(w[0])[1][None], start[None], steps, RATE)[0]
    return found
