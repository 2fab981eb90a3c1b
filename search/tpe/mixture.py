"""A mixture of product kernels: one component for each observation, and one for the prior.

Within a component the parameters are independent, and yet the mixture knows which of their values
go together.  Falkner and others, "BOHB", 2018, and the multivariate estimator of Optuna.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from search.parameters import Parameter
from search.scales import Floats, Permutations, Scale
from search.tpe.kernels import Kernel, kernel_of
from search.tpe.mallows import Mallows

RECENT = 25


@dataclass(frozen=True, slots=True)
class Mixture:
    """A density on rows with one column for each kernel."""

    kernels: Sequence[Kernel]
    weights: Floats

    @classmethod
    def of(
        cls, axes: Sequence[tuple[Parameter, Scale]], rows: Floats, weights: Floats
    ) -> "Mixture":
        """Of observed rows, a column for each axis; the prior weighs as much as one of them."""
        kernels = [_kernel(*axis, rows[:, j]) for j, axis in enumerate(axes)]
        all_weights = np.append(weights, 1.0)
        return cls(kernels, all_weights / all_weights.sum())

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """`count` rows."""
        which = rng.choice(len(self.weights), size=count, p=self.weights)
        return np.stack([kernel.draw(which, rng) for kernel in self.kernels], axis=1)

    def log_density(self, rows: Floats) -> Floats:
        """Of each row."""
        terms = np.log(self.weights) + sum(
            kernel.log_density(rows[:, j]) for j, kernel in enumerate(self.kernels)
        )
        return np.asarray(logsumexp(terms, axis=1))


def _kernel(parameter: Parameter, scale: Scale, u: Floats) -> Kernel:
    if isinstance(scale, Permutations):
        return Mallows.of(scale, u)
    return kernel_of(parameter, scale, u)


def recency(count: int) -> Floats:
    """Weights of observations, oldest first: the RECENT latest weigh 1, the others down to 1/count.

    Bergstra, Yamins and Cox, "Making a Science of Model Search", 2013.
    """
    ramp = np.linspace(1.0 / max(count, 1), 1.0, max(count - RECENT, 0))
    return np.concatenate([ramp, np.ones(min(count, RECENT))])
