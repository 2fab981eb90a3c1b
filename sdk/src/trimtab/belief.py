"""Where a user expects good values to lie, before anything was tried."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.errors import InvalidSpec


@dataclass(frozen=True, slots=True)
class Normal:
    """Good values lie about `mean`, give or take `sd`: Float("lr", ..., prior=Normal(1e-3, 0.5)).

    `mean` is a value of the parameter.  `sd` is in its units, and on a log scale in factors of ten:
    0.5 says within half a decade, two times out of three.
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not _finite(self.mean):
            raise InvalidSpec(f"tt.Normal: expected a finite mean, got {self.mean!r}")
        if not (_finite(self.sd) and self.sd > 0):
            raise InvalidSpec(f"tt.Normal: expected a finite sd > 0, got {self.sd!r}")


def prior_to_json(name: str, prior: Normal | None, low: float, high: float) -> Any:
    """The prior as it travels."""
    if prior is None:
        return None
    if not isinstance(prior, Normal):
        raise InvalidSpec(f"{name}: expected prior=tt.Normal(mean, sd), got {prior!r}")
    if not low <= prior.mean <= high:
        raise InvalidSpec(f"{name}: the mean {prior.mean} of its prior is not in [{low}, {high}]")
    return {"kind": "normal", "mean": prior.mean, "sd": prior.sd}


def weights_to_json(name: str, weights: Sequence[float] | None, count: int) -> list[float] | None:
    """The weights of choices as they travel."""
    if weights is None:
        return None
    listed = list(weights)
    if len(listed) != count:
        raise InvalidSpec(f"{name}: expected {count} weights, one a choice, got {len(listed)}")
    if not all(_finite(weight) and weight > 0 for weight in listed):
        raise InvalidSpec(f"{name}: expected finite weights > 0, got {listed!r}")
    return listed


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
