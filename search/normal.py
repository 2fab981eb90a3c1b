"""What a user believes of a number before anything was tried."""

import math
from dataclasses import dataclass
from typing import Literal

from search.errors import InvalidSpace
from search.values import Real, Wire

NARROWEST = 1e-9  # of a parameter's range: places in it are known to nine digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal(Wire):
    """Good values lie about `mean`, give or take `sd`, within the parameter's range.

    `mean` is a value of the parameter, and `sd` is in its units; on a log scale `sd` is in decades,
    factors of ten.
    """

    mean: Real
    sd: Real
    kind: Literal["normal"] = "normal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", float(self.mean))
        object.__setattr__(self, "sd", float(self.sd))
        if not math.isfinite(self.mean):
            raise InvalidSpace(f"prior: expected a finite mean, got {self.mean}", at=("mean",))
        if not (math.isfinite(self.sd) and self.sd > 0):
            raise InvalidSpace(f"prior: expected a finite sd > 0, got {self.sd}", at=("sd",))


def check_prior(name: str, prior: Normal, low: float, high: float, *, log: bool) -> None:
    """Raise InvalidSpace unless the prior suits a parameter of this range."""
    if not low <= prior.mean <= high:
        reason = f"{name}: the mean {prior.mean} of its prior is not in [{low}, {high}]"
        raise InvalidSpace(reason, at=("prior", "mean"))
    width = math.log10(high) - math.log10(low) if log else high - low
    if prior.sd < NARROWEST * width:
        raise InvalidSpace(
            f"{name}: its prior is too narrow to be searched, got sd={prior.sd}; "
            "a single choice fixes a value",
            at=("prior", "sd"),
        )
