"""A Gaussian process over the features of configs, fitted by maximum a posteriori.

    X   n x c   features: one column for a number, several for a choice
    y   n       standardised losses, turned so that higher is better
    l   p       one length scale for every free parameter, however many columns it has

The squared distance is sum_i |x_i - x'_i|^2 / l_i^2, where a choice's columns add up to 0 or 1.
Priors on l and on the noise are those of Hvarfner and others, "Vanilla Bayesian Optimization
Performs Great in High Dimensions", 2024; there is no output scale, since y is standardised.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from botorch.models import SingleTaskGP
from botorch.settings import validate_input_scaling
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from search.gp import fit as evidence
from search.gp.fit import LENGTH
from search.gp.kernels import RBF
from search.gp.threads import one_thread

NOISE = 1e-5, math.e  # bounds of the noise variance


class GroupedRBF(Kernel):  # type: ignore[misc]
    """exp(-r^2 / 2), r scaled by one length scale for every group of columns."""

    def __init__(self, owners: Sequence[int]) -> None:
        super().__init__()
        d = max(owners) + 1
        self.register_buffer("owners", torch.tensor(owners))
        self.register_parameter("raw_length", torch.nn.Parameter(torch.zeros(1, d)))
        self.register_constraint("raw_length", _above(LENGTH[0]))
        prior = LogNormalPrior(math.sqrt(2) + 0.5 * math.log(d), math.sqrt(3))
        self.register_prior("length_prior", prior, _length)

    @property
    def length(self) -> Tensor:
        """The length scales, 1 x p."""
        length: Tensor = self.raw_length_constraint.transform(self.raw_length)
        return length

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """The covariance of x1 and x2, or its diagonal."""
        scale = self.length[..., self.owners]
        squared = self.covar_dist(x1 / scale, x2 / scale, square_dist=True, diag=diag)
        covariance: Tensor = squared.div(-2).exp()
        return covariance


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a fit finds: a length scale for every free parameter, the noise, the mean."""

    lengths: tuple[float, ...]
    noise: float
    mean: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether a model can be built with them."""
        values = (*self.lengths, self.noise, self.mean)
        return all(map(math.isfinite, values)) and min(*self.lengths, self.noise) > 0


def cold_starts(free: int) -> list[Hyperparameters]:
    """Where a fit begins that knows nothing: a wiggly function and a smooth one."""
    return [Hyperparameters(at.lengths, at.noise) for at in evidence.cold_starts(free)]


def build(X: Tensor, y: Tensor, owners: Sequence[int], at: Hyperparameters) -> SingleTaskGP:
    """The model of these observations with these hyperparameters."""
    likelihood = GaussianLikelihood(
        noise_prior=LogNormalPrior(-4.0, 1.0), noise_constraint=_above(NOISE[0])
    )
    # One-hot columns, and the targets of very few points, are meant to be as they are.
    with validate_input_scaling(False):
        model = SingleTaskGP(
            X,
            y.unsqueeze(-1),
            likelihood=likelihood,
            covar_module=GroupedRBF(owners),
            outcome_transform=None,
        ).to(X)
    kernel = model.covar_module
    lengths = torch.tensor(at.lengths).to(X).clamp(LENGTH[0] * 1.001, LENGTH[1])
    kernel.initialize(raw_length=kernel.raw_length_constraint.inverse_transform(lengths))
    likelihood.noise = min(max(at.noise, NOISE[0] * 1.001), NOISE[1])
    model.mean_module.constant = at.mean
    return model.eval()


def fit(
    X: Tensor, y: Tensor, owners: Sequence[int], starts: Sequence[Hyperparameters], evaluations: int
) -> Hyperparameters:
    """The most probable hyperparameters found from the starts, which share the evaluations.

    An optimisation that uses up its share is not a failure: what it reached is used.  The priors
    and the kernel are those of `gp`, and so is the fit, whose gradients are written out: it takes
    a tenth of the time that differentiating the model's own likelihood takes.
    """
    points, columns = evidence.Points(X.numpy(), list(owners)), y.numpy()
    with one_thread():
        likelihood = evidence.Evidence(points, columns, RBF)
        # A line search under way when its share ends may take a few more.
        more = evidence.LINE_SEARCH * len(starts)
        # The mean follows from the rest.
        known = [evidence.Hyperparameters(start.lengths, start.noise) for start in starts]
        at = evidence.fit(likelihood, known, evaluations + more)
        mean = likelihood.mean(at)
    return Hyperparameters(lengths=at.lengths, noise=at.noise, mean=mean)


def _above(bound: float) -> GreaterThan:
    """The value is bound + exp(raw): L-BFGS works on a logarithmic scale."""
    return GreaterThan(bound, transform=torch.exp, inv_transform=torch.log)


def _length(kernel: GroupedRBF) -> Tensor:
    return kernel.length
