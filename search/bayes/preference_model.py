"""A Gaussian process of what a person prefers, from which of two configs they found better.

    X   n x c   features of the configs compared
    A   m x 2   rows of X: the better one, the worse one

The chance that x is preferred to x' is Phi((f(x) - f(x')) / sqrt(2)).  Chu and Ghahramani,
"Preference Learning with Gaussian Processes", 2005, give the model and its Laplace approximation.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.models.pairwise_gp import PairwiseGP, PairwiseLaplaceMarginalLogLikelihood
from botorch.optim.fit import fit_gpytorch_mll_scipy
from gpytorch.constraints import Interval
from gpytorch.kernels import ScaleKernel
from gpytorch.priors import SmoothedBoxPrior
from torch import Tensor

from search.bayes.model import GroupedRBF, cold_starts
from search.gp.fit import LENGTH

SCALE = 0.05, 200.0  # bounds of the variance of utilities, where an answer's noise is 2
STEPS = 100  # at most, from one guess at the utilities to the most probable ones


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the model expects of a config against another: who is ahead, by how much, how sure."""

    mean: float
    sd: float

    @property
    def chance(self) -> float:
        """That a person prefers it."""
        return 0.5 * math.erfc(-self.mean / math.sqrt(2 * (self.sd**2 + 2)))


def fit_preferences(X: Tensor, A: Tensor, owners: Sequence[int], evaluations: int) -> PairwiseGP:
    """The model with the most probable hyperparameters found within the evaluations.

    Every pair of A has two different rows.
    """
    with _fixed_noise():
        at = _climb(X, A, owners, evaluations)
        # Not the one that was fitted: it keeps the utilities of the last evaluation, which need
        # not be the best one.
        return _build(X, A, at).eval()


def without(model: PairwiseGP, X: Tensor, A: Tensor) -> PairwiseGP:
    """The model of fewer answers about the same rows, with the hyperparameters of this one."""
    with _fixed_noise():
        return _build(X, A, model.covar_module).eval()


def _build(X: Tensor, A: Tensor, kernel: ScaleKernel) -> PairwiseGP:
    return PairwiseGP(X, A, covar_module=kernel, maxfev=STEPS, consolidate_atol=1e-9)


def _climb(X: Tensor, A: Tensor, owners: Sequence[int], evaluations: int) -> ScaleKernel:
    model = _build(X, A, _kernel(owners))
    mll = PairwiseLaplaceMarginalLogLikelihood(model.likelihood, model).train()
    constraint = model.covar_module.base_kernel.raw_length_constraint
    ends = [
        float(constraint.inverse_transform(torch.tensor(end, dtype=torch.double)))
        for end in (LENGTH[0] * 1.001, LENGTH[1])
    ]
    fit_gpytorch_mll_scipy(
        mll,
        bounds={"model.covar_module.base_kernel.raw_length": (ends[0], ends[1])},
        options={"maxfun": evaluations, "maxiter": evaluations},
    )
    return model.covar_module


@contextmanager
def _fixed_noise() -> Iterator[None]:
    """PairwiseGP jolts its first guess with NumPy's global generator: always in the same way."""
    before = np.random.get_state()
    try:
        np.random.seed(0)
        yield
    finally:
        np.random.set_state(before)


def ahead(model: PairwiseGP, x: Tensor, other: Tensor) -> Ahead:
    """The utility of x less that of the other, 1 x c each."""
    with torch.no_grad():
        posterior: Any = model.posterior(torch.cat([x, other]))
        mean, covariance = posterior.mean.flatten(), posterior.covariance_matrix
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return Ahead(float(mean[0] - mean[1]), math.sqrt(max(0.0, float(variance))))


def _kernel(owners: Sequence[int]) -> ScaleKernel:
    base = GroupedRBF(owners)
    smooth = torch.tensor(cold_starts(max(owners) + 1)[1].lengths, dtype=torch.double)
    base.double().initialize(raw_length=base.raw_length_constraint.inverse_transform(smooth))
    return ScaleKernel(
        base,
        outputscale_prior=SmoothedBoxPrior(a=SCALE[0] * 2, b=SCALE[1] / 2),
        outputscale_constraint=Interval(*SCALE, initial_value=1.0),
    ).double()
