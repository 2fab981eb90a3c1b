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

MAX_COUNTED = 100_000


def walk(space: SearchSpace, points: int | None = None) -> Iterator[dict[str, Value]]:
    """Every config once, the last parameter changing fastest.

    A continuous parameter takes `points` values that spread over its scale, both ends among them.
    Raises InvalidSpace for a continuous parameter where `points` is not given.
    """
    scales = Cube(space).scales
    if points is None and any(scale.count is None for scale in scales):
        raise InvalidSpace("a space with continuous parameters has no end of configs")
    return _extend(space, scales, points or 1, {}, 0)


def size(space: SearchSpace) -> int | None:
    """How many configs there are; None when there is no end of them.

    A conditional space is counted one by one, and taken for endless beyond MAX_COUNTED.
    """
    counts = [scale.count for scale in Cube(space).scales]
    if any(count is None for count in counts):
        return None
    if not space.conditional:
        return math.prod(count for count in counts if count is not None)
    counted = sum(1 for _ in islice(walk(space), MAX_COUNTED + 1))
    return counted if counted <= MAX_COUNTED else None


def _extend(
    space: SearchSpace, scales: list[Scale], points: int, config: dict[str, Value], place: int
) -> Iterator[dict[str, Value]]:
    if place == len(scales):
        yield dict(config)
        return
    parameter = space.parameters[place]
    if not is_active(parameter, config):
        yield from _extend(space, scales, points, config, place + 1)
        return
    for value in _values(scales[place], points):
        config[parameter.name] = value
        yield from _extend(space, scales, points, config, place + 1)
    del config[parameter.name]


def _values(scale: Scale, points: int) -> Iterator[Value]:
    if isinstance(scale, Levels):
        return (scale.value_at(level) for level in range(scale.count))
    spread = np.linspace(0.0, 1.0, points) if points > 1 else np.array([0.5])
    # Neighbouring points of a very narrow interval can be the same float.
    return iter(dict.fromkeys(scale.value(float(u)) for u in spread))
