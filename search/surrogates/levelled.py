"""A Gaussian process whose constant mean is that of generalised least squares.

With K the covariance of the observations, noise included, the mean is m = 1'K^-1 y / 1'K^-1 1, and
a = K^-1 (y - m) follows from solving for y and for ones at once.  Rasmussen and Williams, "Gaussian
Processes for Machine Learning", 2006, section 2.7, with a single constant and a vague prior.
"""

import math
from dataclasses import replace

import numpy as np
from scipy.linalg import cho_solve

from search.scales import Floats
from search.surrogates.gaussian import Covariance, Gaussian, constant


class Sides:
    """What the equations are solved for: y, and ones."""

    def __init__(self, y: Floats) -> None:
        self._sides = np.stack([y, np.ones_like(y)], axis=1)

    def solved(self, factor: tuple[Floats, bool]) -> tuple[float, Floats]:
        """m and a, given the Cholesky factor of K."""
        by_y, by_ones = cho_solve(factor, self._sides).T
        m = float(by_y.sum() / by_ones.sum())
        return m, by_y - m * by_ones

    def residual(self, factor: tuple[Floats, bool]) -> tuple[Floats, float]:
        """a, and (y - m)'a."""
        m, a = self.solved(factor)
        return a, float((self._sides[:, 0] - m) @ a)


def levelled(covariance: Covariance, X: Floats, y: Floats, noise: float) -> Gaussian:
    """The process given y, with noise of this variance, at rows of features; K is factored once.

    Raises LinAlgError where it cannot be, and FloatingPointError where the mean is not finite.
    """
    plain = Gaussian.of(covariance, X, y, noise)
    m, a = Sides(y).solved((plain.L, True))
    if not math.isfinite(m):
        raise FloatingPointError("the mean of the process is not finite")
    return replace(plain, trend=constant(m), a=a)
