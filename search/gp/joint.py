"""Configs together with the contexts that they are run in, as features of one model.

The columns of a context stand after those of the config, and are features like any other: each of
its parameters has a length scale, which the fit makes long where the context does not matter.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from search.encoding import Cube
from search.problem import Problem
from search.scales import Floats
from search.space import SearchSpace
from search.values import Config


@dataclass(frozen=True, slots=True)
class Joint:
    """The cube of a space, and that of its contexts where the problem has any."""

    cube: Cube
    contexts: Cube | None

    @classmethod
    def of(cls, problem: Problem) -> "Joint":
        """Of a problem's space and context."""
        contexts = Cube(SearchSpace(parameters=problem.context)) if problem.context else None
        return cls(Cube(problem.space), contexts)

    @property
    def free(self) -> int:
        """How many parameters have more than one value; each has a length scale."""
        return len(self.cube.free) + (0 if self.contexts is None else len(self.contexts.free))

    @property
    def owners(self) -> list[int]:
        """For each column of the features, the place of its parameter among the free ones."""
        if self.contexts is None:
            return self.cube.owners
        before = len(self.cube.free)
        return [*self.cube.owners, *(before + owner for owner in self.contexts.owners)]

    def features(self, rows: Floats, contexts: Iterable[Config]) -> Floats:
        """The features of snapped rows of configs, each in its context."""
        return np.concatenate([self.cube.features(rows), self.columns(contexts, len(rows))], axis=1)

    def columns(self, contexts: Iterable[Config], count: int) -> Floats:
        """The columns of `count` contexts."""
        if self.contexts is None:
            return np.empty((count, 0))
        return self.contexts.features(self.contexts.encode(contexts))
