"""Covariances of a function and its partial derivatives, for a kernel phi(s), s = |z - z'|^2.

    cov(f, f')               = phi(s)
    cov(f, d_j f')           = -2 phi'(s) (z - z')_j
    cov(d_i f, d_j f')       = -2 phi'(s) [i = j] - 4 phi''(s) (z - z')_i (z - z')_j

where z are points over length scales, and derivatives are with respect to z.  Rasmussen and
Williams, "Gaussian Processes for Machine Learning", 2006, section 9.4.

    Z   n x c    points
    at, along    m places of points and columns: a derivative of f there, with respect to that
"""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Profile: TypeAlias = tuple[Tensor, Tensor, Tensor]  # phi and its first and second derivative
SLOPE_VARIANCE = 5 / 3  # the prior variance of a derivative, -2 phi'(0)


def profile(s: Tensor) -> Profile:
    """Of Matern 5/2, the roughest of its family of which every derivative has a derivative.

    (1 + r + r^2 / 3) exp(-r) with r^2 = 5 s.
    """
    # The derivative of a root at 0 is infinite, and nothing depends on a root of 1e-20.
    r = (5 * s).clamp_min(1e-20).sqrt()
    fall = torch.exp(-r)
    return (1 + r + r.square() / 3) * fall, -5 / 6 * (1 + r) * fall, 25 / 12 * fall


@dataclass(frozen=True, slots=True)
class Spots:
    """Where values and derivatives are known: a value at every point, m derivatives."""

    Z: Tensor
    at: Tensor
    along: Tensor

    def covariance(self) -> Tensor:
        """The prior covariance of all values and then all derivatives, (n + m) x (n + m)."""
        phi, first, second = profile(squared_distances(self.Z, self.Z))
        edge = self._edge(self.Z, first)
        apart = self._apart(self.Z[self.at])
        corner = -4 * second[self.at][:, self.at] * apart * -apart.T
        same = self.along[:, None] == self.along
        corner = corner - 2 * first[self.at][:, self.at] * same
        return torch.cat([torch.cat([phi, edge], dim=1), torch.cat([edge.T, corner], dim=1)])

    def cross(self, A: Tensor) -> Tensor:
        """The prior covariance of all that is known and the values at |A| points, (n + m) x |A|."""
        phi, first, _ = profile(squared_distances(A, self.Z))
        return torch.cat([phi, self._edge(A, first)], dim=1).T

    def _edge(self, A: Tensor, first: Tensor) -> Tensor:
        """Of the values at A and the derivatives, |A| x m."""
        return -2 * first[:, self.at] * self._apart(A)

    def _apart(self, A: Tensor) -> Tensor:
        """How far each of A is from where a derivative is, along that derivative, |A| x m."""
        return A[:, self.along] - self.Z[self.at, self.along]


def squared_distances(A: Tensor, B: Tensor) -> Tensor:
    """|A| x |B|."""
    centre = B.mean(dim=0)
    A, B = A - centre, B - centre
    found = A.square().sum(dim=1, keepdim=True) + B.square().sum(dim=1) - 2 * A @ B.T
    return found.clamp_min(0)
