"""Networks trained apart, each on targets and towards weights of its own.

Network s minimises |y + e_s - f(X; w)|^2 / (2 noise^2) + |w - w_s|^2 / 2, with e_s drawn from the
noise and w_s from the prior.  Where f is linear in w the networks are draws from the posterior,
exactly; training on the same targets from chance starting points alone, as deep ensembles were
first proposed (Lakshminarayanan and others, 2017), says too little of what is not known when
observations are few.  Lu and Van Roy, "Ensemble Sampling", 2017; Pearce and others, "Uncertainty in
Neural Networks: Approximately Bayesian Ensembling", 2020.
"""

from dataclasses import dataclass

import numpy as np

from search.scales import Floats
from search.surrogates.adam import descend
from search.surrogates.inputs import network_inputs
from search.surrogates.network import Network
from search.surrogates.particles import Particles
from search.surrogates.regression import Regression
from search.surrogates.surrogate import Observed


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of fitted networks, S x P, as functions of features."""

    network: Network
    w: Floats
    owners: list[int]

    def __call__(self, X: Floats) -> Floats:
        return self.network.outputs(self.w, network_inputs(X, self.owners))


def fit_members(
    problem: Regression, members: int, steps: int, rate: float, rng: np.random.Generator
) -> Floats:
    """The weights of the members, S x P."""
    prior = rng.standard_normal((members, problem.network.size))
    noise = problem.noise * rng.standard_normal((members, len(problem.y)))
    own = Regression(problem.network, problem.X, problem.y + noise, problem.noise, prior)
    return descend(lambda w: own(w)[1], prior, steps, rate)


def fit(
    observed: Observed,
    hidden: tuple[int, ...],
    *,
    members: int,
    steps: int,
    noise: float,
    rng: np.random.Generator,
) -> Particles:
    """The ensemble's members as functions."""
    X = network_inputs(observed.X, observed.owners)
    network = Network((X.shape[1], *hidden, 1))
    problem = Regression(network, X, observed.y, noise)
    w = fit_members(problem, members, steps, 0.05, rng)
    return Particles(Weights(network, w, observed.owners), members)
