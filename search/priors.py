"""What a user believes of a space, as a density over its unit cube.

    p_j(u)   density of parameter j over [0, 1], its declared scale: 1 throughout without a prior
    F_j      its distribution function

A number's belief is a normal distribution cut off at the ends of its scale; a level gets the
probability of its cell, and so does a choice, as its weight says.  Parameters are independent, and
those that are inactive in a config say nothing of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from search.axis import Axis, edge
from search.encoding import Cube
from search.parameters import ChoiceParameter, Parameter, PermutationParameter
from search.scales import Floats, Levels, scale_of


class Belief(ABC):
    """Where one parameter's good values are thought to lie."""

    @abstractmethod
    def places(self, v: Floats) -> Floats:
        """F^-1: places at which the distribution function has the values v, 0 to 1."""

    @abstractmethod
    def below(self, u: Floats) -> Floats:
        """F: the probability of what lies below each place."""

    @abstractmethod
    def log_density(self, u: Floats) -> Floats:
        """ln p at snapped places: of the place itself, or averaged over its cell."""


@dataclass(frozen=True, slots=True)
class Weights(Belief):
    """Choices with the probabilities `shares`, which add up to 1."""

    shares: Floats
    scale: Levels

    def places(self, v: Floats) -> Floats:
        ends = np.cumsum(self.shares)
        level = np.minimum(np.searchsorted(ends, v, side="right"), len(ends) - 1)
        return np.asarray(self.scale.centre(level))

    def below(self, u: Floats) -> Floats:
        edges = np.linspace(0.0, 1.0, len(self.shares) + 1)
        found: Floats = np.interp(u, edges, np.concatenate([[0.0], np.cumsum(self.shares)]))
        return found

    def log_density(self, u: Floats) -> Floats:
        level = self.scale.level(u).astype(int)
        found: Floats = np.log(self.shares * len(self.shares))[level]
        return found


class Priors:
    """All that is believed of one space, by column; `beliefs` may be others than its own."""

    def __init__(self, cube: Cube, beliefs: Mapping[int, Belief] | None = None) -> None:
        self.cube = cube
        self.beliefs = _beliefs(cube) if beliefs is None else beliefs

    def rows(self, uniform: Floats) -> Floats:
        """Rows of the unit cube, evenly spread, moved to where they are spread by the priors."""
        rows = uniform.copy() if self.beliefs else uniform
        for j, belief in self.beliefs.items():
            rows[:, j] = belief.places(uniform[:, j])
        return rows

    def log_density(self, rows: Floats) -> Floats:
        """The logarithm of the density at snapped rows, beside the even one's."""
        active = self.cube.active(rows)
        found = np.zeros(len(rows))
        for j, belief in self.beliefs.items():
            found += np.where(active[:, j], belief.log_density(rows[:, j]), 0.0)
        return found


def _beliefs(cube: Cube) -> Mapping[int, Belief]:
    found = {j: belief_of(parameter) for j, parameter in enumerate(cube.space.parameters)}
    return {j: belief for j, belief in found.items() if belief is not None}


def belief_of(parameter: Parameter) -> Belief | None:
    """What is believed of a parameter; None if nothing is, or it has one value only."""
    scale = scale_of(parameter)
    if scale.count == 1:
        return None
    if isinstance(parameter, ChoiceParameter):
        if parameter.weights is None:
            return None
        weights = np.array(parameter.weights) / max(parameter.weights)
        assert isinstance(scale, Levels)  # choices are levels
        return Weights(weights / weights.sum(), scale)
    if isinstance(parameter, PermutationParameter) or parameter.prior is None:
        return None
    from search.bell import Bell  # SciPy, which spaces without such a prior do not need

    axis = Axis.of(parameter)
    m = (edge(parameter.prior.mean, axis.log) - axis.start) / axis.length
    return Bell.of(m, axis.sd(parameter.prior.sd), scale)
