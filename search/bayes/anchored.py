"""A fitted model that remembers what its posterior says of a fixed set of points.

Noisy expected improvement asks for the joint posterior of one new point and all points that may be
the best: r anchors.  Asked plainly, the model works out the anchors' part again for every
candidate, r + 1 solves where one is new.  Here the anchors are solved once, so that scoring b
candidates among n observations costs O(b n (n + r)) instead of O(b r n^2).
"""

from abc import ABC, abstractmethod
from copy import copy
from typing import Any

import torch
from botorch.models import SingleTaskGP
from botorch.models.gpytorch import GPyTorchModel
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from linear_operator import to_linear_operator
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

# Joint posteriors of neighbouring points are singular to within rounding; the model's noise is at
# least ten times this.
NUGGET = 1e-6


class Solvable(ABC):
    """What observations at points X say of a function that has prior variance 1."""

    X: Tensor

    @abstractmethod
    def cross(self, A: Tensor, B: Tensor) -> Tensor:
        """The prior covariance of two sets of points, |A| x |B|."""

    @abstractmethod
    def solve(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior mean at the points, and V: V'V is the covariance that is explained."""

    def joint(self, A: Tensor, V: Tensor) -> Tensor:
        """The posterior covariance of points whose V is known, safe to factor."""
        return self.cross(A, A) - V.T @ V + NUGGET * torch.eye(len(A)).to(A)

    def marginal(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior mean and standard deviation at each point."""
        mean, V = self.solve(A)
        return mean, (1 - V.square().sum(0)).clamp_min(1e-12).sqrt()


class Observed(Solvable):
    """The observations of a fitted model, factored once.

    L L' = K(X, X) + noise, and a = (L L')^-1 (y - m).
    """

    def __init__(self, model: SingleTaskGP) -> None:
        self.kernel = model.covar_module
        self.X = model.train_inputs[0]
        self.mean: Tensor = model.mean_module.constant.detach()
        self.noise: Tensor = model.likelihood.noise.detach()
        noise = self.noise * torch.eye(len(self.X)).to(self.X)
        self.L: Tensor = psd_safe_cholesky(self.cross(self.X, self.X) + noise)
        residual = (model.train_targets - self.mean).unsqueeze(-1)
        self.a: Tensor = torch.cholesky_solve(residual, self.L).squeeze(-1)

    def believing(self, X: Tensor) -> "Observed":
        """As if at these points, too, something had been observed: what is expected there."""
        believed = copy(self)
        expected, _ = self.solve(X)
        residual = torch.cat([self.L @ (self.L.T @ self.a), expected - self.mean]).unsqueeze(-1)
        believed.X = torch.cat([self.X, X])
        noise = self.noise * torch.eye(len(believed.X)).to(X)
        believed.L = psd_safe_cholesky(self.cross(believed.X, believed.X) + noise)
        believed.a = torch.cholesky_solve(residual, believed.L).squeeze(-1)
        return believed

    def cross(self, A: Tensor, B: Tensor) -> Tensor:
        """The prior covariance of two sets of points, |A| x |B|."""
        covariance: Tensor = self.kernel(A, B).to_dense().detach()
        return covariance

    def solve(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior mean at the points, and V = L^-1 K(X, A), which holds their covariances."""
        K = self.cross(self.X, A)
        return self.mean + K.T @ self.a, torch.linalg.solve_triangular(self.L, K, upper=False)


class Anchored(GPyTorchModel):
    """The model, for an acquisition function that asks for [anchors, one new point] only."""

    num_outputs = 1

    def __init__(self, observed: Solvable, anchors: Tensor) -> None:
        super().__init__()
        self._observed, self._anchors = observed, anchors
        self._mean, self._V = observed.solve(anchors)
        self._covariance = observed.joint(anchors, self._V)

    def posterior(self, X: Tensor, *_: Any, **__: Any) -> GPyTorchPosterior:
        """The joint posterior at X, b x (r + 1) x c, or r x c for the anchors themselves."""
        r = len(self._anchors)
        if X.shape[-2] == r:
            return _posterior(self._mean, self._covariance)
        new = X[..., r, :].reshape(-1, X.shape[-1])
        mean, covariance = self._extend(new)
        return _posterior(
            mean.reshape(*X.shape[:-2], r + 1), covariance.reshape(*X.shape[:-2], r + 1, r + 1)
        )

    def _extend(self, new: Tensor) -> tuple[Tensor, Tensor]:
        """The mean, b x (r + 1), and covariance, b x (r + 1) x (r + 1), of anchors and point."""
        r, b = len(self._anchors), len(new)
        fresh, V = self._observed.solve(new)
        mean = torch.cat([self._mean.expand(b, r), fresh.unsqueeze(-1)], dim=-1)
        covariance = new.new_empty(b, r + 1, r + 1)
        covariance[:, :r, :r] = self._covariance
        edge = (self._observed.cross(self._anchors, new) - self._V.T @ V).T
        covariance[:, r, :r] = covariance[:, :r, r] = edge
        covariance[:, r, r] = 1 - V.square().sum(0) + NUGGET
        return mean, covariance


def _posterior(mean: Tensor, covariance: Tensor) -> GPyTorchPosterior:
    # As a linear operator: a plain tensor would be factored on the spot.
    return GPyTorchPosterior(MultivariateNormal(mean, to_linear_operator(covariance)))
