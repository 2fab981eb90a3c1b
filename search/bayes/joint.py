"""Joint draws of several metrics at fixed points and at one new point, for many new points.

Improvement on noisy observations, and on points still pending, needs draws of the new point that
agree with the draws of all points that it may improve on.  With the anchors A drawn once,

    f(A) = m(A) + R z,  R R' = k(A, A),        f(x) = m(x) + (R^-1 k(A, x))' z + s(x) z_x,

a new point costs two triangular solves for each metric.  z comes from one scrambled Sobol sequence.

A group is w points that belong together: a config and what noise on its numbers makes of it; w = 1
elsewhere.  Shapes: anchors r x w x c, new groups b x w x c, draws S x ... x w x metrics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from botorch.utils.sampling import draw_sobol_normal_samples
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from search.bayes.anchored import NUGGET, Observed

MAX_SOBOL = 21_201  # dimensions


@dataclass(frozen=True, slots=True)
class _Anchored:
    """One metric's anchors: their V, their root R, and the z they were drawn with."""

    observed: Observed
    flat: Tensor
    V: Tensor
    root: Tensor
    z: Tensor
    fresh: Tensor

    def draw(self, X: Tensor) -> Tensor:
        """S x b x w draws of b groups of w points."""
        b, w, c = X.shape
        mean, V = self.observed.solve(X.reshape(b * w, c))
        edge = self.observed.cross(self.flat, X.reshape(b * w, c)) - self.V.T @ V
        W = torch.linalg.solve_triangular(self.root, edge, upper=False)
        centre: Tensor = (mean + self.z @ W).reshape(len(self.z), b, w)
        if w == 1:
            left = (1 + NUGGET - V.square().sum(0) - W.square().sum(0)).clamp_min(1e-12)
            alone: Tensor = left.sqrt().reshape(1, b, 1) * self.fresh.unsqueeze(1)
            return centre + alone
        explained = torch.cat([V, W]).reshape(-1, b, w).permute(1, 0, 2)
        covariance = self.observed.cross(X, X) - explained.transpose(1, 2) @ explained
        root = psd_safe_cholesky(covariance + NUGGET * torch.eye(w).to(X))
        together: Tensor = torch.einsum("bij,sj->sbi", root, self.fresh)
        return centre + together


class Joint:
    """Draws of all metrics at the anchors, and at new groups given those."""

    def __init__(
        self, observed: Sequence[Observed], anchors: Tensor, *, samples: int, seed: int
    ) -> None:
        r, self.width, _ = anchors.shape
        each = (r + 1) * self.width
        z = _normal(samples, each * len(observed), seed).to(anchors).chunk(len(observed), dim=1)
        parts = [_anchor(o, anchors.flatten(0, 1), at) for o, at in zip(observed, z, strict=True)]
        self._parts = [part for part, _ in parts]
        self.anchors: Tensor = torch.stack([f for _, f in parts], dim=-1).reshape(
            samples, r, self.width, len(parts)
        )

    def draw(self, X: Tensor) -> Tensor:
        """S x b x w x metrics draws of b groups, all from the same z."""
        return torch.stack([part.draw(X) for part in self._parts], dim=-1)


def _anchor(observed: Observed, flat: Tensor, z: Tensor) -> tuple[_Anchored, Tensor]:
    mean, V = observed.solve(flat)
    root = V.new_empty(0, 0)
    if len(flat):
        root = psd_safe_cholesky(observed.joint(flat, V))
    held, fresh = z[:, : len(flat)], z[:, len(flat) :]
    return _Anchored(observed, flat, V, root, held, fresh), mean + held @ root.T


def _normal(samples: int, dimension: int, seed: int) -> Tensor:
    if dimension <= MAX_SOBOL:
        return draw_sobol_normal_samples(dimension, samples, dtype=torch.double, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, dimension, generator=generator, dtype=torch.double)
