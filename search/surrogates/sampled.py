"""A small network whose weights are sampled from their posterior."""

import numpy as np

from search.surrogates.ensemble import Weights, fit_members
from search.surrogates.hamiltonian import Plan, sample
from search.surrogates.inputs import network_inputs
from search.surrogates.network import Network
from search.surrogates.particles import Particles
from search.surrogates.regression import Regression
from search.surrogates.surrogate import Observed

CHAINS = 8
TRAINING = 300  # steps of Adam: chains begin near modes, each near one of its own
KEPT_EACH = 8  # states of a chain, evenly spread over it, that become functions


def fit(
    observed: Observed,
    hidden: tuple[int, ...],
    plan: Plan,
    *,
    noise: float,
    rng: np.random.Generator,
) -> Particles:
    """The sampled networks as functions."""
    X = network_inputs(observed.X, observed.owners)
    network = Network((X.shape[1], *hidden, 1))
    problem = Regression(network, X, observed.y, noise)
    start = fit_members(problem, CHAINS, TRAINING, 0.05, rng)
    states = sample(problem, start, plan, 0.1 * noise, rng).states
    places = np.linspace(0, len(states) - 1, min(KEPT_EACH, len(states))).round().astype(int)
    w = states[places].reshape(-1, network.size)
    return Particles(Weights(network, w, observed.owners), len(w))
