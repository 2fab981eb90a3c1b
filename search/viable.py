"""Which values of a parameter some config under the constraints can have, given those before it.

By the ranges of the parameters after it, one constraint at a time: with a single constraint every
value that is let pass leads to a config, with several it may be a dead end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.axis import Axis
from search.linear import LinearConstraint, ends, slack_of
from search.parameters import FloatParameter, IntParameter, Parameter
from search.scales import Levels, scale_of
from search.space import SearchSpace
from search.values import Config, Value

NARROW = 1e-12  # of the scale: an interval in which floats are one value


@dataclass(frozen=True, slots=True)
class _Sum:
    """A constraint, what its terms after each place can add up to, and its slack."""

    constraint: LinearConstraint
    least: Mapping[int, float]
    most: Mapping[int, float]
    slack: float


class Viable:
    """The constraints of one space, made ready; `places` are the parameters they speak of.

    `order` has all places, continuous ones under constraints last: they can make up for any level,
    while a level seldom makes up for them.  (They have no conditions and no children.)
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        named = {name for constraint in space.constraints for name in constraint.terms}
        self.places = {j for j, p in enumerate(space.parameters) if p.name in named}
        smooth = {j for j in self.places if scale_of(space.parameters[j]).count is None}
        self.order = sorted(range(len(space.parameters)), key=lambda j: j in smooth)
        self.sums = [_sum(constraint, space, self.order) for constraint in space.constraints]

    def meets(self, config: Config) -> bool:
        """Whether a whole config meets every constraint."""
        return all(s.constraint.holds(config, s.slack) for s in self.sums)

    def values(self, config: Config, place: int, points: int) -> Iterator[Value]:
        """The viable values; of a continuous parameter `points`, spread over what is left."""
        parameter = self.space.parameters[place]
        low, high, rounding = self._interval(config, place)
        scale = scale_of(parameter)
        if isinstance(scale, Levels):
            return _levels(parameter, scale, low - rounding, high + rounding)
        assert isinstance(parameter, FloatParameter)  # others have levels
        axis, (a, b) = Axis.of(parameter), ends(parameter)
        if low > high + rounding or low - rounding > b or high + rounding < a:
            return iter(())
        low, high = (min(max(v, a), b) for v in (low, high))
        first, last = scale.unit(low), scale.unit(high)
        if last - first <= NARROW:
            return iter(axis.values(axis.place(np.array([0.5 * (low + high)]))).tolist())
        spread = np.linspace(first, last, points) if points > 1 else [0.5 * (first + last)]
        return iter(dict.fromkeys(np.clip(axis.values(np.asarray(spread)), low, high).tolist()))

    def _interval(self, config: Config, place: int) -> tuple[float, float, float]:
        """What the constraints leave of a number, and by how much rounding may pass that."""
        name = self.space.parameters[place].name
        low, high, rounding = -np.inf, np.inf, 0.0
        for s in self.sums:
            if (c := s.constraint.terms.get(name)) is None:
                continue
            before = s.constraint.total({**dict.fromkeys(s.constraint.terms, 0.0), **config})
            bounds = (
                (s.constraint.low - before - s.most[place]) / c,
                (s.constraint.high - before - s.least[place]) / c,
            )
            low, high = max(low, min(bounds)), min(high, max(bounds))
            rounding = max(rounding, s.slack / abs(c))
        return low, high, rounding


def _sum(constraint: LinearConstraint, space: SearchSpace, order: Sequence[int]) -> _Sum:
    least, most = {}, {}
    rest = [0.0, 0.0]
    for place in reversed(order):
        least[place], most[place] = rest
        parameter = space.parameters[place]
        if c := constraint.terms.get(parameter.name):
            low, high = sorted(c * end for end in ends(parameter))
            rest = [rest[0] + low, rest[1] + high]
    return _Sum(constraint, least, most, slack_of(constraint, space.parameters))


def _levels(parameter: Parameter, scale: Levels, low: float, high: float) -> Iterator[Value]:
    assert isinstance(parameter, FloatParameter | IntParameter)  # constraints speak of numbers
    step = parameter.step or 1
    first = max(0, int(np.ceil((max(low, parameter.low) - parameter.low) / step - 1e-9)))
    last = int(np.floor((min(high, parameter.high) - parameter.low) / step + 1e-9))
    return map(scale.value_at, range(first, min(last, scale.count - 1) + 1))
