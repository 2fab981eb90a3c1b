"""A Gaussian process of values and derivatives together, fitted by maximum a posteriori.

    [y; l g] ~ N([mu; 0], a^2 (C + E)),    E = diag(v, ..., v, w b, ..., w b)

C is the covariance of gradient_kernel over points z = x / l, g are derivatives by x, l their length
scales (l g are derivatives by z), b their prior variance.  What is fitted: l, one for each free
parameter, and the shares of noise v and w.  mu and a^2 are worked out, under weak priors of their
own: N(0, a^2) and an inverse gamma distribution with mode 1.

The noise of derivatives may become as large as it likes, so that those which contradict each other
count for little.  Derivatives that agree with each other and not with the values, as of the wrong
sign, would win by their number: they are given up where they make the values less likely than the
values are by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from linear_operator.utils.cholesky import psd_safe_cholesky
from scipy.optimize import minimize
from torch import Tensor

from search.bayes.anchored import Solvable
from search.bayes.gradient_data import Taught
from search.bayes.gradient_kernel import SLOPE_VARIANCE, Spots, profile, squared_distances
from search.gp.fit import LENGTH
from search.gp.improvement import LOG_ROOT_TWO_PI
from search.scales import Floats

NOISE, SLOPE_NOISE = (1e-5, math.e), (1e-6, 1e6)  # bounds
SHAPE, RATE = 2.0, 3.0  # of the prior of a^2


@dataclass(frozen=True, slots=True)
class Shape:
    """What a fit finds: a length scale for every free parameter, the two shares of noise."""

    lengths: tuple[float, ...]
    noise: float
    slope_noise: float

    @property
    def sound(self) -> bool:
        """Whether a model can be built with it."""
        values = (*self.lengths, self.noise, self.slope_noise)
        return all(math.isfinite(value) and value > 0 for value in values)


def cold_starts(free: int) -> list[Shape]:
    """Where a fit begins that knows nothing: derivatives that are exact, and poor ones."""
    lengths = (0.6 * math.sqrt(free),) * free
    return [Shape(lengths, math.exp(-6), 1e-4), Shape(lengths, math.exp(-5), 1e2)]


class Informed(Solvable):
    """The model of what was taught, in units in which the function has prior variance 1.

    `scale` is a, and `evidence` the logarithm of the marginal likelihood, but for a constant.
    """

    def __init__(self, taught: Taught, owners: Sequence[int], shape: Tensor) -> None:
        """`shape` holds the length scales, v and w."""
        self._lengths = shape[:-2][list(owners)]
        self.X = torch.from_numpy(taught.X)
        at, along = torch.from_numpy(taught.at), torch.from_numpy(taught.along)
        self._spots = Spots(self.X / self._lengths, at, along)
        noise = [shape[-2].expand(len(self.X)), SLOPE_VARIANCE * shape[-1].expand(len(at))]
        self._M = self._spots.covariance() + torch.diag(torch.cat(noise))
        self._L = psd_safe_cholesky(self._M)
        stretched = torch.from_numpy(taught.slopes) * self._lengths[along]
        fits = self._condition(torch.from_numpy(taught.y), stretched)
        # Of the derivatives as they were told, not of the stretched ones.
        self.evidence = fits + self._lengths[along].log().sum()

    def _condition(self, y: Tensor, slopes: Tensor) -> Tensor:
        """Work out mu and a; the evidence."""
        mean = torch.cat([torch.ones_like(y), torch.zeros_like(slopes)])
        told = torch.stack([torch.cat([y, slopes]), mean], dim=1)
        b, h = torch.linalg.solve_triangular(self._L, told, upper=False).unbind(dim=1)
        mu = b @ h / (h @ h + 1)
        left = b - mu * h
        weight = len(told) + 1 + 2 * SHAPE + 2
        variance = (left @ left + mu.square() + 2 * RATE) / weight
        self.scale: Tensor = variance.sqrt()
        self._mu = mu / self.scale
        self._left = self._L @ left / self.scale
        rest = torch.linalg.solve_triangular(self._L.T, left.unsqueeze(1), upper=True)
        self._a = rest.squeeze(1) / self.scale
        fits: Tensor = -0.5 * weight * variance.log() - self._L.diagonal().log().sum()
        return fits

    @property
    def derivatives(self) -> int:
        """How many the model was given."""
        return len(self._spots.at)

    def foretold(self) -> float:
        """The logarithm of the density of the values, given the derivatives."""
        n = len(self.X)
        L = psd_safe_cholesky(self._M.flip(0, 1))
        left = torch.linalg.solve_triangular(L, self._left.flip(0).unsqueeze(1), upper=False)
        roots = L.diagonal()[-n:].log().sum() + n * (self.scale.log() + LOG_ROOT_TWO_PI)
        return float(-0.5 * left[-n:].square().sum() - roots)

    def cross(self, A: Tensor, B: Tensor) -> Tensor:
        return profile(squared_distances(A / self._lengths, B / self._lengths))[0]

    def solve(self, A: Tensor) -> tuple[Tensor, Tensor]:
        K = self._spots.cross(A / self._lengths)
        return self._mu + K.T @ self._a, torch.linalg.solve_triangular(self._L, K, upper=False)


def build(taught: Taught, owners: Sequence[int], shape: Shape) -> Informed:
    """The model with this shape."""
    return Informed(taught, owners, torch.tensor(_numbers(shape), dtype=torch.double))


def fit(taught: Taught, owners: Sequence[int], starts: Sequence[Shape], evaluations: int) -> Shape:
    """The most probable shape found from the starts, which share the evaluations.

    Where the derivatives contradict the values it is that of the values, and takes the derivatives
    for noise.
    """
    found = _best(taught, owners, starts, evaluations)
    if not len(taught.slopes):
        return found
    values = taught.without_slopes()
    alone = _best(values, owners, starts[-1:], evaluations // 2)
    with_slopes, without = build(taught, owners, found), build(values, owners, alone)
    if with_slopes.foretold() >= without.foretold():
        return found
    return replace(alone, slope_noise=SLOPE_NOISE[1])


def _best(
    taught: Taught, owners: Sequence[int], starts: Sequence[Shape], evaluations: int
) -> Shape:
    found = [_climb(taught, owners, start, evaluations // len(starts)) for start in starts]
    sound = [(value, shape) for value, shape in found if math.isfinite(value) and shape.sound]
    if not sound:
        raise FloatingPointError("the marginal likelihood has no finite maximum")
    return max(sound, key=lambda pair: pair[0])[1]


def log_prior(logs: Tensor) -> Tensor:
    """Of the logarithms of a shape; lengths and noise as in model.py, derivatives less certain."""
    free = len(logs) - 2
    centre = torch.tensor([math.sqrt(2) - 3 + 0.5 * math.log(free)] * free + [-5.0, -6.0])
    width = torch.tensor([math.sqrt(3)] * free + [1.0, 3.0])
    return -0.5 * ((logs - centre) / width).square().sum()


def _climb(
    taught: Taught, owners: Sequence[int], start: Shape, evaluations: int
) -> tuple[float, Shape]:
    def loss(x: Floats) -> tuple[float, Floats]:
        logs = torch.from_numpy(x).requires_grad_()
        found = -(Informed(taught, owners, logs.exp()).evidence + log_prior(logs))
        (slope,) = torch.autograd.grad(found, logs)
        return found.item(), slope.numpy()

    ends = np.log([*[LENGTH] * len(start.lengths), NOISE, SLOPE_NOISE])
    begin = np.clip(np.log(_numbers(start)), ends[:, 0], ends[:, 1])
    options = {"maxfun": evaluations, "maxiter": evaluations}
    best = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=ends, options=options)
    *lengths, noise, slope_noise = np.exp(best.x).tolist()
    return -float(best.fun), Shape(tuple(lengths), noise, slope_noise)


def _numbers(shape: Shape) -> list[float]:
    return [*shape.lengths, shape.noise, shape.slope_noise]
