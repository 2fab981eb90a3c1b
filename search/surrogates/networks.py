"""The settings of the surrogates that are networks of finite width, each with two hidden layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from search.settings import check_range
from search.surrogates.surrogate import Model, Observed, Surrogate
from search.values import Real, Whole

if TYPE_CHECKING:
    import numpy as np


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeepEnsemble(Surrogate):
    """Networks trained apart, on perturbed losses and towards weights drawn from the prior.

    `noise` is the standard deviation of a loss, where that of all losses is 1.
    """

    members: Whole = 16
    width: Whole = 16
    steps: Whole = 500
    noise: Real = 0.05
    kind: Literal["deep_ensemble"] = "deep_ensemble"

    def __post_init__(self) -> None:
        check_range("members", self.members, 2, 64)
        check_range("width", self.width, 1, 128)
        check_range("steps", self.steps, 10, 10_000)
        check_range("noise", self.noise, 0.01, 10)

    def fit(self, observed: Observed, rng: np.random.Generator) -> Model:
        from search.surrogates.ensemble import fit

        hidden = (self.width, self.width)
        return fit(
            observed, hidden, members=self.members, steps=self.steps, noise=self.noise, rng=rng
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Laplace(Surrogate):
    """A trained network, linearised in all its weights."""

    width: Whole = 16
    steps: Whole = 500
    kind: Literal["laplace"] = "laplace"

    def __post_init__(self) -> None:
        check_range("width", self.width, 1, 64)
        check_range("steps", self.steps, 10, 10_000)

    def fit(self, observed: Observed, rng: np.random.Generator) -> Model:
        from search.surrogates.linearised import fit

        return fit(observed, (self.width, self.width), steps=self.steps, rng=rng)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeepKernel(Surrogate):
    """A Gaussian process on the `embedding` numbers that a network makes of a config."""

    width: Whole = 16
    embedding: Whole = 4
    steps: Whole = 200
    kind: Literal["dkl"] = "dkl"

    def __post_init__(self) -> None:
        check_range("width", self.width, 1, 128)
        check_range("embedding", self.embedding, 1, 32)
        check_range("steps", self.steps, 10, 10_000)

    def fit(self, observed: Observed, rng: np.random.Generator) -> Model:
        from search.surrogates.deep_kernel import fit

        hidden = (self.width, self.width, self.embedding)
        return fit(observed, hidden, steps=self.steps, rng=rng)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HMC(Surrogate):
    """A small network whose weights are sampled by Hamiltonian Monte Carlo, in eight chains.

    `warm` and `keep` count moves of each chain, of `leaps` steps each; `noise` is the standard
    deviation of a loss, where that of all losses is 1.
    """

    width: Whole = 16
    warm: Whole = 40
    keep: Whole = 40
    leaps: Whole = 20
    noise: Real = 0.05
    kind: Literal["hmc"] = "hmc"

    def __post_init__(self) -> None:
        check_range("width", self.width, 1, 64)
        check_range("warm", self.warm, 10, 2_000)
        check_range("keep", self.keep, 4, 2_000)
        check_range("leaps", self.leaps, 1, 200)
        check_range("noise", self.noise, 0.01, 10)

    def fit(self, observed: Observed, rng: np.random.Generator) -> Model:
        from search.surrogates.hamiltonian import Plan
        from search.surrogates.sampled import fit

        plan = Plan(self.warm, self.keep, self.leaps)
        return fit(observed, (self.width, self.width), plan, noise=self.noise, rng=rng)
