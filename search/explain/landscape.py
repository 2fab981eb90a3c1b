"""What a model has to tell so that it can be explained, whatever it is a model of."""

from typing import Protocol

from search.encoding import Cube
from search.scales import Floats


class Landscape(Protocol):
    """A belief about every config: a mean and a standard deviation at rows of the unit cube."""

    @property
    def cube(self) -> Cube:
        """The cube that its rows lie in."""

    @property
    def scale(self) -> float:
        """What a standard deviation of 1 is in units of what is explained."""

    def __len__(self) -> int:
        """How many configs it rests on: the cost of a prediction grows with it."""

    def mean(self, rows: Floats) -> Floats:
        """The posterior mean at n rows."""

    def moments(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation at n rows."""

    def metric(self, y: float) -> float:
        """A mean in units of what is explained."""
