"""Numbers as they travel: JSON has none for what is not finite."""

import math
from collections.abc import Mapping


def write_number(value: float) -> float | str:
    """A float as JSON can carry it: "NaN", "Infinity" and "-Infinity" are strings."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def write_numbers(values: Mapping[str, float]) -> dict[str, float | str]:
    """Metric values as JSON can carry them."""
    return {name: write_number(value) for name, value in values.items()}
