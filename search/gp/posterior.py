"""What a Gaussian process with given hyperparameters believes, observed and pending points alike.

A pending point counts as observed at the posterior mean there: no mean changes, and the variance
falls as it would with any outcome.  Its row is appended to the Cholesky factor; nothing is factored
again.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.linalg.lapack import dtrtrs

from search.gp.fit import NUGGET, Hyperparameters, ensured
from search.gp.kernels import Kernel, squared_distances
from search.scales import Floats

SMALLEST_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Belief:
    """Of b points: mean and variance of what the function is there, noise left out.

    V = L^-1 k(X, points), N x b, keeps what a further observation needs to know.
    """

    mean: Floats
    variance: Floats
    V: Floats

    @property
    def sd(self) -> Floats:
        """The standard deviations."""
        return np.sqrt(self.variance)


@dataclass(frozen=True, slots=True)
class Posterior:
    """The process given n observations, and N - n pending points after them.

    X holds the scaled features, N x c; L L' = k(X, X) + noise, and on the diagonal what is known of
    the noise besides; a = (L L')^-1 (y - m), n; `best` is the lowest posterior mean at any of the
    points.
    """

    kernel: Kernel
    scale: Floats
    noise: float
    X: Floats
    L: Floats
    a: Floats
    mean: float
    best: float

    @classmethod
    def of(
        cls,
        kernel: Kernel,
        at: Hyperparameters,
        features: Floats,
        owners: list[int],
        y: Floats,
        *,
        known: Floats | float = 0.0,
    ) -> "Posterior":
        """Given observations y at rows of features; raises LinAlgError.

        `known` holds the variances that are known of y, besides the noise that was fitted.
        """
        scale = np.array(at.lengths)[owners]
        X = features / scale
        C = kernel.correlation(squared_distances(X, X))
        noise = at.noise + NUGGET
        L = cholesky(_on_diagonal(C, 1.0 + noise + known), lower=True, check_finite=False)
        sides = solve_triangular(
            L, np.stack([y, np.ones_like(y)], 1), lower=True, check_finite=False
        )
        solved = solve_triangular(L, sides, lower=True, trans="T", check_finite=False)
        # Generalised least squares for the constant mean.
        m = float(solved[:, 0].sum() / solved[:, 1].sum())
        a = solved[:, 0] - m * solved[:, 1]
        # (C + N) a = y - m, N the noise, so the posterior mean m + C a at the points is y - N a.
        best = float(np.min(y - (noise + known) * a))
        return cls(kernel, scale, noise, X, L, a, m, best)

    def believe(self, features: Floats) -> Belief:
        """At rows of features, b x c."""
        K = self._cross(self.X, features)
        mean = self.mean + self.a @ K[: len(self.a)]
        V = _solved(self.L, K)
        return Belief(mean, _variance(_squares(V)), V)

    def means(self, features: Floats) -> Floats:
        """The means alone, which cost no solution."""
        found: Floats = self.mean + self.a @ self._cross(self.X[: len(self.a)], features)
        return found

    def pending(self, features: Floats) -> "Posterior":
        """With these rows under way as well; raises LinAlgError."""
        belief = self.believe(features)
        N, k = len(self.X), len(features)
        X = features / self.scale
        C = self.kernel.correlation(squared_distances(X, X)) - belief.V.T @ belief.V
        L = np.zeros((N + k, N + k), order="F")
        L[:N, :N] = self.L
        L[N:, :N] = belief.V.T
        corner = _on_diagonal(C, belief.variance + self.noise)
        L[N:, N:] = cholesky(corner, lower=True, check_finite=False)
        best = min(self.best, float(np.min(belief.mean)))
        return replace(self, X=np.concatenate([self.X, X]), L=L, best=best)

    def believe_again(self, features: Floats, before: Belief) -> Belief:
        """What a belief becomes with the points that are pending since."""
        N = len(before.V)
        K = self._cross(self.X[N:], features) - self.L[N:, :N] @ before.V
        new = _solved(self.L[N:, N:], K)
        variance = _variance(1.0 - before.variance + _squares(new))
        return Belief(before.mean, variance, np.concatenate([before.V, new]))

    def correlation(self, features: Floats) -> Floats:
        """The prior correlation of one row of features, 1 x c, with each observed point."""
        return self._cross(self.X[: len(self.a)], features)[:, 0]

    def _cross(self, X: Floats, features: Floats) -> Floats:
        """k(X, features), with columns contiguous, as LAPACK wants them."""
        return self.kernel.correlation(squared_distances(features / self.scale, X)).T


def _solved(L: Floats, K: Floats) -> Floats:
    """L^-1 K, in the place of K where its columns are contiguous; raises LinAlgError."""
    return ensured(dtrtrs(L, K, lower=1, overwrite_b=1))


def _squares(V: Floats) -> Floats:
    """The sum of squares of each column."""
    found: Floats = np.einsum("ij,ij->j", V, V)
    return found


def _variance(explained: Floats) -> Floats:
    return np.maximum(1.0 - explained, SMALLEST_VARIANCE)


def _on_diagonal(C: Floats, diagonal: Floats | float) -> Floats:
    np.fill_diagonal(C, diagonal)
    return C
