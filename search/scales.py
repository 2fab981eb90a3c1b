"""One parameter's values against the unit interval, both ways.

A continuous parameter maps u in [0, 1] onto its declared scale.  Every other parameter has levels,
numbered from 0, and each level owns a cell of the interval: cells of equal width for steps, whole
numbers and choices; for a whole number v on a log scale the cell [v - 1/2, v + 1/2], measured on
that scale, so that both ends get their proper share.

The methods take and give numpy arrays as well as single numbers.  Levels survive the way to the
unit interval and back exactly for up to 10**12 of them; beyond that a float has no room for cells.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from search.orders import Orders, ranked, unranked
from search.parameters import (
    ChoiceParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PermutationParameter,
)
from search.values import Scalar, Value

Floats: TypeAlias = npt.NDArray[np.float64]


class Scale(ABC):
    """How the values of one parameter lie in the unit interval; `count` is None if continuous."""

    count: int | None

    @abstractmethod
    def value(self, u: float) -> Value:
        """The legal value at u."""

    @abstractmethod
    def unit(self, value: Value) -> float:
        """Where a legal value lies: the centre of its cell, if it has one."""

    @abstractmethod
    def units(self, values: Sequence[Value]) -> Floats:
        """The same for many values at once."""

    @abstractmethod
    def snap(self, u: Floats) -> Floats:
        """Each u moved to where its value lies."""


class Continuous(Scale):
    """An interval of floats, even or even in its logarithm."""

    count = None

    def __init__(self, low: float, high: float, *, log: bool) -> None:
        self._low, self._high, self._log = low, high, log
        self._start = math.log(low) if log else low
        self._length = (math.log(high) if log else high) - self._start

    def value(self, u: float) -> float:
        x = self._start + min(max(u, 0.0), 1.0) * self._length
        # Rounding may carry an end just past its bound.
        return min(max(math.exp(x) if self._log else x, self._low), self._high)

    def unit(self, value: Value) -> float:
        x = math.log(value) if self._log else float(value)  # type: ignore[arg-type]
        return min(max((x - self._start) / self._length, 0.0), 1.0)

    def units(self, values: Sequence[Value]) -> Floats:
        x = np.array(values, dtype=np.float64)
        return np.clip(((np.log(x) if self._log else x) - self._start) / self._length, 0.0, 1.0)

    def snap(self, u: Floats) -> Floats:
        return np.clip(u, 0.0, 1.0)


class Levels(Scale):
    """`count` levels in cells of equal width."""

    count: int

    def __init__(
        self, count: int, value_at: Callable[[int], Value], level_of: Callable[[Value], int]
    ) -> None:
        self.count = count
        self.value_at = value_at
        self.level_of = level_of

    def level(self, u: Any) -> Any:
        """The level in whose cell each u lies."""
        return np.clip(np.floor(np.asarray(u) * self.count), 0, self.count - 1)

    def centre(self, level: Any) -> Any:
        """The middle of each level's cell."""
        return (level + 0.5) / self.count

    def edges(self, level: Any) -> tuple[Any, Any]:
        """Where each level's cell begins and ends."""
        return level / self.count, (level + 1) / self.count

    def value(self, u: float) -> Value:
        return self.value_at(int(self.level(u)))

    def unit(self, value: Value) -> float:
        return float(self.centre(self.level_of(value)))

    def units(self, values: Sequence[Value]) -> Floats:
        return np.asarray(self.centre(np.array([self.level_of(v) for v in values], dtype=float)))

    def snap(self, u: Floats) -> Floats:
        return np.asarray(self.centre(self.level(u)))


class LogLevels(Levels):
    """The whole numbers from low to high, with cells that are even in the logarithm."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(high - low + 1, lambda k: low + k, lambda v: int(v) - low)  # type: ignore[arg-type]
        self._low = low
        self._start = math.log(low - 0.5)
        self._length = math.log(high + 0.5) - self._start

    def level(self, u: Any) -> Any:
        x = np.exp(self._start + np.asarray(u) * self._length)
        return np.clip(np.floor(x + 0.5) - self._low, 0, self.count - 1)

    def centre(self, level: Any) -> Any:
        v = np.asarray(level) + self._low
        return (0.5 * (np.log(v - 0.5) + np.log(v + 0.5)) - self._start) / self._length

    def edges(self, level: Any) -> tuple[Any, Any]:
        v = np.asarray(level) + self._low
        ends = (np.log(np.stack([v - 0.5, v + 0.5])) - self._start) / self._length
        return ends[0], ends[1]


class Permutations(Levels):
    """The orders of items, by rank: neighbouring levels begin alike, but mean no more than that."""

    def __init__(self, items: Sequence[Scalar]) -> None:
        super().__init__(math.factorial(len(items)), self._value_at, self._level_of)
        self.items = tuple(items)
        # True equals 1 for Python, but not as an item.
        self._place = {(isinstance(item, bool), item): k for k, item in enumerate(self.items)}

    def orders(self, u: Floats) -> Orders:
        """The order at each u: a row with the places of the items."""
        return unranked(self.level(u), len(self.items))

    def centres(self, orders: Orders) -> Floats:
        """Where orders lie."""
        return np.asarray(self.centre(ranked(orders)))

    def _value_at(self, level: int) -> list[Scalar]:
        return [self.items[place] for place in unranked([level], len(self.items))[0]]

    def _level_of(self, value: Value) -> int:
        assert isinstance(value, list)
        order = [self._place[isinstance(item, bool), item] for item in value]
        return int(ranked(np.array([order]))[0])


def scale_of(parameter: Parameter) -> Scale:
    """The scale of a parameter."""
    match parameter:
        case ChoiceParameter():
            return _choice(parameter)
        case IntParameter():
            return _whole(parameter)
        case FloatParameter():
            return _real(parameter)
        case PermutationParameter():
            return Permutations(parameter.items)


def stretch(parameter: FloatParameter, value: float) -> float:
    """How fast the parameter's value grows along the unit interval, at the value."""
    if parameter.step is not None:
        return parameter.step * (parameter.steps + 1)
    if parameter.log:
        return value * (math.log(parameter.high) - math.log(parameter.low))
    return parameter.high - parameter.low


def _choice(parameter: ChoiceParameter) -> Levels:
    choices = tuple(parameter.choices)
    # True equals 1 for Python, but not as a choice.
    level = {(isinstance(value, bool), value): k for k, value in enumerate(choices)}
    return Levels(len(choices), choices.__getitem__, lambda v: level[isinstance(v, bool), v])  # type: ignore[index]


def _whole(parameter: IntParameter) -> Levels:
    low, step = parameter.low, parameter.step
    if parameter.log:
        return LogLevels(low, parameter.high)
    count = (parameter.high - low) // step + 1
    return Levels(count, lambda k: low + k * step, lambda v: (int(v) - low) // step)  # type: ignore[arg-type]


def _real(parameter: FloatParameter) -> Scale:
    low, high, step = parameter.low, parameter.high, parameter.step
    if low == high:
        return Levels(1, lambda _: low, lambda _: 0)
    if step is None:
        return Continuous(low, high, log=parameter.log)
    count = parameter.steps + 1
    return Levels(
        count,
        lambda k: min(low + k * step, high),
        lambda v: min(round((v - low) / step), count - 1),  # type: ignore[operator]
    )
