"""Every config of a space, one after the other, and how many there are."""

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np

from search.encoding import Cube
from search.errors import InvalidSpace
from search.scales import Levels, Scale
from search.space import SearchSpace, is_active
from search.values import Value
from search.viable import Viable

MAX_COUNTED = 100_000
PATIENCE = 100_000  # dead ends in a row after which a walk under constraints gives up


def walk(space: SearchSpace, points: int | None = None) -> Iterator[dict[str, Value]]:
    """Every config once, the last parameter changing fastest.

    A continuous parameter takes `points` values that spread over its scale, both ends among them.
    Under constraints it comes after all others, and spreads over what they leave of it; where
    several constraints leave next to nothing of a vast space, the walk ends after PATIENCE dead
    ends in a row.  Raises InvalidSpace for a continuous parameter where `points` is not given.
    """
    scales = Cube(space).scales
    if points is None and any(scale.count is None for scale in scales):
        raise InvalidSpace("a space with continuous parameters has no end of configs")
    return _Walk(space, scales, points or 1).extend({}, 0)


def size(space: SearchSpace) -> int | None:
    """How many configs there are; None when there is no end of them.

    A space with conditions or constraints is counted one by one, and taken for endless beyond
    MAX_COUNTED.
    """
    counts = [scale.count for scale in Cube(space).scales]
    if any(count is None for count in counts):
        return None
    if not space.conditional and not space.constraints:
        return math.prod(count for count in counts if count is not None)
    counted = sum(1 for _ in islice(walk(space), MAX_COUNTED + 1))
    return counted if counted <= MAX_COUNTED else None


class _Walk:
    """One walk: `dead` counts the dead ends since the last config."""

    def __init__(self, space: SearchSpace, scales: list[Scale], points: int) -> None:
        self.space, self.scales, self.points = space, scales, points
        self.viable = Viable(space) if space.constraints else None
        self.order = self.viable.order if self.viable else range(len(scales))
        self.dead = 0

    def extend(self, config: dict[str, Value], done: int) -> Iterator[dict[str, Value]]:
        """Every config that begins like this one, in which `done` parameters have been settled."""
        if done == len(self.order):
            if self._meets(config):
                self.dead = 0
                yield self._in_order(config)
            return
        place = self.order[done]
        parameter = self.space.parameters[place]
        if not is_active(parameter, config):
            yield from self.extend(config, done + 1)
            return
        value = no_value = object()
        for value in self._values(config, place):
            config[parameter.name] = value
            yield from self.extend(config, done + 1)
            if self.dead > PATIENCE:
                break
        self.dead += value is no_value
        config.pop(parameter.name, None)

    def _in_order(self, config: dict[str, Value]) -> dict[str, Value]:
        return {p.name: config[p.name] for p in self.space.parameters if p.name in config}

    def _meets(self, config: dict[str, Value]) -> bool:
        met = self.viable is None or self.viable.meets(config)
        self.dead += not met
        return met

    def _values(self, config: dict[str, Value], place: int) -> Iterator[Value]:
        if self.viable is None or place not in self.viable.places:
            return _spread(self.scales[place], self.points)
        return self.viable.values(config, place, self.points)


def _spread(scale: Scale, points: int) -> Iterator[Value]:
    if isinstance(scale, Levels):
        return (scale.value_at(level) for level in range(scale.count))
    spread = np.linspace(0.0, 1.0, points) if points > 1 else np.array([0.5])
    # Neighbouring points of a very narrow interval can be the same float.
    return iter(dict.fromkeys(scale.value(float(u)) for u in spread))
