"""The seam between the observations of a study and a model of its loss.

A surrogate is its settings: a frozen dataclass with a `kind` that names it on the wire.  This
module loads no numpy; what is heavy is imported inside `fit`.  How a model of whichever kind is
searched for the next config is in search/surrogates/acquire.py, and asks only for what a Model
promises.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.values import Wire

if TYPE_CHECKING:
    import numpy as np

    from search.scales import Floats


@dataclass(frozen=True, slots=True)
class Observed:
    """What a surrogate learns from.

    X   n x c   features of configs, as Cube.features gives them
    y   n       standardised losses, lower is better
    owners  c   the parameter that each column belongs to, numbered from 0
    """

    X: Floats
    y: Floats
    owners: list[int]

    @property
    def parameters(self) -> int:
        """How many parameters the columns describe."""
        return max(self.owners) + 1


class Draws(ABC):
    """Draws of the loss that are known at some points, the anchors, and open elsewhere.

    `values`, S x r, holds what each draw is at each anchor.
    """

    values: Floats

    @abstractmethod
    def believe(self, X: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, S x b each, of every draw at rows of features."""


class Model(ABC):
    """A fitted surrogate: what it believes of the loss, noise left out, in standard units."""

    @abstractmethod
    def moments(self, X: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation at rows of features."""

    @abstractmethod
    def anchored(self, X: Floats, count: int, rng: np.random.Generator) -> Draws:
        """About `count` draws that agree on what they are at these rows, jointly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate(Wire, ABC):
    """A kind of model.  Concrete ones are final, frozen, and their fields are settings."""

    @abstractmethod
    def fit(self, observed: Observed, rng: np.random.Generator) -> Model:
        """The model of these observations; the same generator gives the same model.

        Raises ArithmeticError or LinAlgError where the numbers break down.
        """
