"""Kernels on the coordinate of one parameter: one for each observation, and a prior's at the end.

- A continuous parameter takes normal densities truncated to the unit interval.
- Levels in an order take the masses of such densities over the levels' cells.
- A choice without order takes the choice observed, smoothed over all of them.

The width of a normal is the larger distance to its neighbours, between bounds that narrow as
observations come in (the "magic clipping" of Bergstra and others, 2011, as Optuna has it); the
prior's is the whole interval, from its middle.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from search.parameters import ChoiceParameter, Parameter
from search.scales import Floats, Levels, LogLevels, Scale

LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)
# Levels beyond which cells are as good as points, and those on a log scale hard to tell apart.
MANY, MANY_LOG = 10_000, 10**9
NARROW = 1e-3  # in deviations: the mass of such a cell is its width times the density
TINY = 1e-300


class Kernel(ABC):
    """The components of a mixture as far as one parameter is concerned."""

    scale: Scale

    @abstractmethod
    def draw(self, which: npt.NDArray[np.intp], rng: np.random.Generator) -> Floats:
        """A coordinate from each of the components named, snapped."""

    @abstractmethod
    def log_density(self, u: Floats) -> Floats:
        """Of each coordinate (row) under each component (column); of a level, its log mass."""


@dataclass(frozen=True, slots=True)
class Normal(Kernel):
    """Truncated normal densities on the unit interval."""

    scale: Scale
    mean: Floats
    sd: Floats

    def draw(self, which: npt.NDArray[np.intp], rng: np.random.Generator) -> Floats:
        mean, sd = self.mean[which], self.sd[which]
        low, high = ndtr(-mean / sd), ndtr((1 - mean) / sd)
        drawn = mean + sd * ndtri(low + rng.random(len(which)) * (high - low))
        return self.scale.snap(np.clip(drawn, 0.0, 1.0))

    def log_density(self, u: Floats) -> Floats:
        z = (u[:, None] - self.mean) / self.sd
        density: Floats = -0.5 * np.square(z) - (LOG_ROOT_TWO_PI + np.log(self.sd) + self._inside)
        return density

    @property
    def _inside(self) -> Floats:
        """The log mass that each untruncated normal has within the interval."""
        mass = ndtr((1 - self.mean) / self.sd) - ndtr(-self.mean / self.sd)
        return np.asarray(np.log(mass))


@dataclass(frozen=True, slots=True)
class Cells(Normal):
    """The masses of truncated normal densities over the cells of levels."""

    scale: Levels

    def log_density(self, u: Floats) -> Floats:
        level, places = np.unique(self.scale.level(u), return_inverse=True)
        low, high = ((e[:, None] - self.mean) / self.sd for e in self.scale.edges(level))
        return np.asarray((_log_mass(low, high) - self._inside)[places])


@dataclass(frozen=True, slots=True)
class Categories(Kernel):
    """One row of probabilities over the choices for each component."""

    scale: Levels
    weights: Floats

    @classmethod
    def of(cls, scale: Levels, u: Floats) -> "Categories":
        """The choice observed gets 1 and every choice 1 / components, then all are normalised."""
        weights = np.full((len(u) + 1, scale.count), 1.0 / (len(u) + 1))
        weights[np.arange(len(u)), scale.level(u).astype(int)] += 1
        return cls(scale, weights / weights.sum(axis=1, keepdims=True))

    def draw(self, which: npt.NDArray[np.intp], rng: np.random.Generator) -> Floats:
        reached = np.cumsum(self.weights[which], axis=1)
        drawn = (reached < rng.random(len(which))[:, None] * reached[:, -1:]).sum(axis=1)
        return np.asarray(self.scale.centre(drawn))

    def log_density(self, u: Floats) -> Floats:
        return np.asarray(np.log(self.weights[:, self.scale.level(u).astype(int)].T))


def kernel_of(parameter: Parameter, scale: Scale, u: Floats) -> Kernel:
    """The kernels of one parameter at its observed coordinates `u`, and the prior's."""
    if isinstance(parameter, ChoiceParameter) and not parameter.ordered:
        assert isinstance(scale, Levels)
        return Categories.of(scale, u)
    mean, sd = np.append(u, 0.5), np.append(widths(u), 1.0)
    most = MANY_LOG if isinstance(scale, LogLevels) else MANY
    if isinstance(scale, Levels) and scale.count <= most:
        return Cells(scale, mean, sd)
    return Normal(scale, mean, sd)


def widths(u: Floats) -> Floats:
    """The deviation of the normal at each coordinate: its larger distance to a neighbour.

    The ends of the interval are neighbours only where there is no other.  At most the interval,
    and at least 1 / min(100, components + 1).
    """
    if not len(u):
        return u
    order = np.argsort(u, kind="stable")
    gaps = np.diff(u[order], prepend=0.0, append=1.0)
    if len(u) > 1:
        gaps[0], gaps[-1] = gaps[1], gaps[-2]
    found = np.empty_like(u)
    found[order] = np.maximum(gaps[:-1], gaps[1:])
    return np.clip(found, 1.0 / min(100.0, len(u) + 2.0), 1.0)


def _log_mass(low: Floats, high: Floats) -> Floats:
    """ln(Phi(high) - Phi(low)), floored where it underflows: the prior speaks there."""
    # On the lower side of the mean the difference of two small numbers keeps its digits.
    side = low > 0
    mass = ndtr(np.where(side, -low, high)) - ndtr(np.where(side, -high, low))
    found = np.log(np.maximum(mass, TINY))
    width = high - low
    narrow = width < NARROW
    middle = 0.5 * (low + high)[narrow]
    found[narrow] = np.log(width[narrow]) - 0.5 * np.square(middle) - LOG_ROOT_TWO_PI
    return np.asarray(found)
