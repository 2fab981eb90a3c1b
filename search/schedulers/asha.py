"""Asynchronous successive halving, the variant that stops trials and pauses none.

Li and others, "A System for Massively Parallel Hyperparameter Tuning", 2020, promote paused trials;
stopping instead needs no checkpoints and keeps no books: a rung's standings are all it reads.
"""

import math
from dataclasses import dataclass
from typing import Literal, final

from search.errors import InvalidSettings
from search.scheduler import Continue, Decision, Scheduler, Standings, Stop
from search.schedulers.reasons import not_finite, number_text
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ASHA(Scheduler):
    """Judges at min_steps * reduction_factor**k below max_steps, the steps of a full run.

    A trial runs on if it is in the best 1/reduction_factor of those recorded at the rung, itself
    among them, or if fewer than reduction_factor are.  A loss that is not finite ends a trial.
    """

    min_steps: Whole = 1
    max_steps: Whole
    reduction_factor: Whole = 3
    kind: Literal["asha"] = "asha"

    def __post_init__(self) -> None:
        check_range("min_steps", self.min_steps, 1, 2**31)
        check_range("max_steps", self.max_steps, 2, 2**31)
        check_range("reduction_factor", self.reduction_factor, 2, 100)
        if self.min_steps >= self.max_steps:
            raise InvalidSettings(
                f"expected less than max_steps={self.max_steps}, got {self.min_steps}",
                at=("min_steps",),
            )

    def rungs(self) -> list[int]:
        """The steps at which trials are judged."""
        rungs = [self.min_steps]
        while rungs[-1] * self.reduction_factor < self.max_steps:
            rungs.append(rungs[-1] * self.reduction_factor)
        return rungs

    def first_step(self, number: int) -> int | None:
        return self.min_steps

    def decide(self, standings: Standings, number: int) -> Decision:
        loss = standings.loss(number)
        if not math.isfinite(loss):
            return not_finite(standings.step)
        recorded = sorted([loss, *standings.others(number)])
        keep = len(recorded) // self.reduction_factor
        if keep and loss > recorded[keep - 1]:
            return Stop(
                reason=f"loss {number_text(loss)} at step {standings.step} is not among "
                f"the best {keep} of {len(recorded)} trials"
            )
        return Continue(until=next((r for r in self.rungs() if r > standings.step), None))
