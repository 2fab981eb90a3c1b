"""Steps as fidelity: how far trials may be planned to run, and what that costs."""

import math
from dataclasses import dataclass

from search.errors import InvalidSettings
from search.settings import check_range
from search.values import Real, Whole, Wire

MAX_STEPS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity(Wire):
    """Trials run `low`, `low * factor`, `low * factor**2`, ... or `high` steps.

    `high` is the last step that a full run reports.  A trial costs `fixed_cost` and its steps,
    both in steps.  After the first trials every `full_every`-th is a full run.
    """

    low: Whole = 1
    high: Whole
    factor: Whole = 3
    fixed_cost: Real = 0.0
    full_every: Whole = 4

    def __post_init__(self) -> None:
        check_range("low", self.low, 1, MAX_STEPS)
        check_range("high", self.high, 2, MAX_STEPS)
        check_range("factor", self.factor, 2, 1000)
        check_range("fixed_cost", self.fixed_cost, 0.0, 1e9)
        check_range("full_every", self.full_every, 1, 1000)
        if self.low >= self.high:
            raise InvalidSettings(
                f"expected less than high={self.high}, got {self.low}", at=("low",)
            )

    def rungs(self) -> list[int]:
        """The steps that a trial may be planned to run, `high` last."""
        rungs = [self.low]
        while rungs[-1] * self.factor < self.high:
            rungs.append(rungs[-1] * self.factor)
        return [*rungs, self.high]

    def depth(self, step: int) -> float:
        """A step on the scale of the model: 0 at `low`, 1 at `high`, even in the logarithm."""
        inside = min(max(step, self.low), self.high)
        return math.log(inside / self.low) / math.log(self.high / self.low)

    def cost(self, step: int) -> float:
        """What a trial of so many steps costs, in steps."""
        return self.fixed_cost + step
