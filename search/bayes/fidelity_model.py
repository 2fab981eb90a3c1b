"""What the model of losses at any depth believes; fidelity_fit.py says what it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from search.bayes.fidelity_fit import Hyperparameters
from search.gp.fit import NUGGET
from search.gp.kernels import MATERN, squared_distances
from search.scales import Floats

SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Belief:
    """Of b configs at every depth, noise left out.

    With q of the depth that is asked for, the mean is `mean + q slope`, and L^-1 K(X, (x, s)) is
    V + q W.
    """

    at: Hyperparameters
    mean: Floats
    slope: Floats
    V: Floats
    W: Floats

    @property
    def variance(self) -> Floats:
        """Of the loss of a full run."""
        found: Floats = np.maximum(self.at.end - np.square(self.V).sum(axis=0), SMALLEST)
        return found

    def correlation(self, depth: float) -> Floats:
        """The squared correlation of a measurement at the depth with a full run's loss."""
        at, q = self.at, float(self.at.missing(np.array(depth)))
        there = self.V + q * self.W
        prior = at.end + q**2 * (at.common + at.own)
        variance = np.maximum(prior - np.square(there).sum(axis=0), SMALLEST)
        covariance = at.end - (self.V * there).sum(axis=0)
        noise = at.noise + at.shallow * q**2 + NUGGET
        squared = np.square(covariance) / (self.variance * (variance + noise))
        found: Floats = np.clip(squared, 0.0, 1.0 - 1e-9)
        return found


@dataclass(frozen=True, slots=True)
class Model:
    """The process given points: features, depths and targets of each."""

    at: Hyperparameters
    owners: list[int]
    features: Floats
    depths: Floats
    y: Floats
    L: Floats
    r: Floats
    mean: float

    @classmethod
    def of(
        cls, at: Hyperparameters, owners: list[int], features: Floats, depths: Floats, y: Floats
    ) -> Model:
        """Given observations; raises LinAlgError."""
        X = features / at.lengths[owners]
        C = MATERN.correlation(squared_distances(X, X))
        np.fill_diagonal(C, 1.0)
        q = at.missing(depths)
        K = at.end * C + np.outer(q, q) * (at.common + at.own * C)
        K[np.diag_indices_from(K)] += at.noise + at.shallow * q * q + NUGGET
        L = cholesky(K, lower=True, check_finite=False)
        solved = cho_solve((L, True), np.stack([y, np.ones_like(y)], axis=1), check_finite=False)
        mean = float(solved[:, 0].sum() / solved[:, 1].sum())
        r = solved[:, 0] - mean * solved[:, 1]
        return cls(at, owners, features, depths, y, L, r, mean)

    def believe(self, features: Floats) -> Belief:
        """At rows of features, any depth."""
        scale = self.at.lengths[self.owners]
        C = MATERN.correlation(squared_distances(self.features / scale, features / scale))
        end = self.at.end * C
        q = self.at.missing(self.depths)
        missing = q[:, None] * (self.at.common + self.at.own * C)
        V = solve_triangular(self.L, end, lower=True, check_finite=False)
        W = solve_triangular(self.L, missing, lower=True, check_finite=False)
        return Belief(self.at, self.mean + self.r @ end, self.r @ missing, V, W)

    def pending(self, features: Floats, depths: Floats) -> Model:
        """With these rows under way, taken for known at the expected loss; raises LinAlgError."""
        if not len(features):
            return self
        belief = self.believe(features)
        return Model.of(
            self.at,
            self.owners,
            np.concatenate([self.features, features]),
            np.concatenate([self.depths, depths]),
            np.concatenate([self.y, belief.mean + self.at.missing(depths) * belief.slope]),
        )
