"""The posterior of a network's weights that all network surrogates start from.

Given targets y with normal noise, and standard normal weights, minus its logarithm is, but for a
constant, |y - f(X; w)|^2 / (2 noise^2) + |w - anchor|^2 / 2 with the anchor at 0.
"""

from dataclasses import dataclass

import numpy as np

from search.scales import Floats
from search.surrogates.network import Network


@dataclass(frozen=True, slots=True)
class Regression:
    """Networks for targets y: n of them, or S x n, as many as there are networks."""

    network: Network
    X: Floats
    y: Floats
    noise: float
    anchor: Floats | float = 0.0

    def __call__(self, w: Floats) -> tuple[Floats, Floats]:
        """Minus the log posterior of each row of w, S, and its gradient, S x P."""
        passed = self.network.forward(w, self.X)
        off = (passed[-1][..., 0] - self.y) / self.noise
        away = w - self.anchor
        value = 0.5 * (np.square(off).sum(axis=1) + np.square(away).sum(axis=1))
        pull = np.zeros_like(passed[-1])
        pull[..., 0] = off / self.noise
        return value, self.network.pulled(w, passed, pull) + away
