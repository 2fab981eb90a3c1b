"""Hamiltonian Monte Carlo, several chains at once.

A state w gets a momentum r ~ N(0, I) and moves along the level lines of U(w) + |r|^2 / 2 by
leapfrog steps; it stays where it came to with probability min(1, exp(-change)).  Neal, "MCMC Using
Hamiltonian Dynamics", 2011.  While warming up, the step is brought to where a share ACCEPTED of the
moves is accepted, by dual averaging: Hoffman and Gelman, "The No-U-Turn Sampler", 2014, section
3.2.1.  Every move draws its step from a range about that, lest trajectories close on themselves.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from search.scales import Floats

# Minus the log density of each row of w, up to a constant, and its gradient.
Energy: TypeAlias = Callable[[Floats], tuple[Floats, Floats]]

ACCEPTED = 0.8
GAMMA, DELAY, FORGETTING = 0.05, 10.0, 0.75  # of dual averaging
JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """Moves to warm up and to keep, and leapfrog steps in each: what bounds the cost."""

    warm: int
    keep: int
    leaps: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """States kept, moves x chains x P, the share of moves accepted, and the step used."""

    states: Floats
    accepted: float
    step: float


def sample(
    energy: Energy, start: Floats, plan: Plan, step: float, rng: np.random.Generator
) -> Sampled:
    """From chains that start at the rows of `start`."""
    w, shares, kept = start, list[float](), list[Floats]()
    tuning = DualAveraging(step)
    for move in range(plan.warm + plan.keep):
        warming = move < plan.warm
        size = tuning.step if warming else tuning.settled
        w, share = _move(energy, w, size * rng.uniform(1 - JITTER, 1 + JITTER), plan.leaps, rng)
        if warming:
            tuning.saw(share)
        else:
            shares.append(share)
            kept.append(w)
    return Sampled(np.array(kept), float(np.mean(shares)), tuning.settled)


class DualAveraging:
    """The step that brings the share of accepted moves to ACCEPTED."""

    def __init__(self, step: float) -> None:
        self.step = self.settled = step
        self._centre, self._off, self._moves = math.log(10 * step), 0.0, 0

    def saw(self, share: float) -> None:
        """After a move whose chances of acceptance were this, on average."""
        self._moves += 1
        m = self._moves
        self._off += (ACCEPTED - share - self._off) / (m + DELAY)
        log_step = self._centre - math.sqrt(m) / GAMMA * self._off
        weight = m**-FORGETTING if m > 1 else 1.0
        settled = weight * log_step + (1 - weight) * math.log(self.settled)
        self.step, self.settled = math.exp(log_step), math.exp(settled)


def _move(
    energy: Energy, w: Floats, step: float, leaps: int, rng: np.random.Generator
) -> tuple[Floats, float]:
    """Where the chains are after a move, and how likely its acceptance was on average."""
    r = rng.standard_normal(w.shape)
    (value, gradient), place = energy(w), w
    before = value + 0.5 * np.square(r).sum(axis=1)
    # A trajectory that runs away is turned down below; it may overflow on its way.
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(leaps):
            r = r - 0.5 * step * gradient
            place = place + step * r
            value, gradient = energy(place)
            r = r - 0.5 * step * gradient
        change = value + 0.5 * np.square(r).sum(axis=1) - before
    chance = np.exp(-np.clip(np.nan_to_num(change, nan=np.inf), 0.0, 700.0))
    stays = rng.random(len(w)) < chance
    return np.where(stays[:, None], place, w), float(chance.mean())
