"""Arrays as JSON numbers and back, for what a memo keeps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from search.scales import Floats
from search.values import is_number

Numbers: TypeAlias = dict[str, list[float]]


def written(value: Any) -> list[float]:
    """An array or a number as a flat list of floats, which JSON keeps to the last bit."""
    flat: list[float] = np.asarray(value, dtype=np.float64).ravel().tolist()
    return flat


def read_numbers(data: object, shapes: Mapping[str, Sequence[int]]) -> dict[str, Floats] | None:
    """The arrays of these shapes; None unless all are there, of the right size and finite."""
    if not isinstance(data, Mapping):
        return None
    found: dict[str, Floats] = {}
    for name, shape in shapes.items():
        row = finite_row(data.get(name), math.prod(shape))
        if row is None:
            return None
        found[name] = row.reshape(shape)
    return found


def finite_row(data: object, length: int) -> Floats | None:
    """A list of so many finite numbers as an array; None for anything else."""
    if not isinstance(data, list | tuple) or len(data) != length:
        return None
    if not all(is_number(number) and math.isfinite(number) for number in data):
        return None
    return np.array(data, dtype=np.float64)
