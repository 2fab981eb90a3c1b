"""Constraints between the parameters of a space."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.errors import InvalidSpec


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of parameters that every config keeps within bounds.

        space=[tt.Float("a", 0, 1), tt.Float("b", 0, 1), tt.Linear({"a": 1, "b": 1}, at_most=1)]

    Its parameters are floats and ints without `when`, and count in their own units, also on a log
    scale.  With at_least equal to at_most it is an equation.
    """

    terms: Mapping[str, float]
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.terms, Mapping) or not self.terms:
            raise InvalidSpec(f'tt.Linear: expected terms such as {{"a": 1}}, got {self.terms!r}')
        for name, coefficient in self.terms.items():
            if not coefficient or not _finite(coefficient):
                raise InvalidSpec(
                    f"tt.Linear: expected a coefficient other than 0 for {name!r}, "
                    f"got {coefficient!r}"
                )
        bounds = [bound for bound in (self.at_least, self.at_most) if bound is not None]
        if not bounds or not all(map(_finite, bounds)):
            raise InvalidSpec("tt.Linear: give at_most or at_least, as finite numbers")
        if bounds != sorted(bounds):
            raise InvalidSpec(f"tt.Linear: at_least={bounds[0]} exceeds at_most={bounds[1]}")

    def to_json(self) -> dict[str, Any]:
        """The constraint as it travels."""
        return {"terms": dict(self.terms), "at_most": self.at_most, "at_least": self.at_least}


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
