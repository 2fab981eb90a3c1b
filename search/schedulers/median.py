"""The median rule: stop a trial that does worse than half of the others did at the same step.

The comparison is with the losses at that very step, not with running averages: Golovin and others,
"Google Vizier", 2017, section 3.2.2, describe the averaged form.
"""

import math
from dataclasses import dataclass
from statistics import median
from typing import Literal, final

from search.scheduler import Continue, Decision, Scheduler, Standings, Stop
from search.schedulers.reasons import not_finite, number_text
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Median(Scheduler):
    """Judges at `warmup_steps` and every `interval` steps from there.

    A trial runs on while fewer than `min_trials` others have reached the milestone.  A loss that
    is not finite ends a trial at once.
    """

    warmup_steps: Whole = 4
    interval: Whole = 1
    min_trials: Whole = 5
    kind: Literal["median"] = "median"

    def __post_init__(self) -> None:
        check_range("warmup_steps", self.warmup_steps, 0, 2**31)
        check_range("interval", self.interval, 1, 2**31)
        check_range("min_trials", self.min_trials, 1, 1000)

    def first_step(self, number: int) -> int | None:
        return self.warmup_steps

    def decide(self, standings: Standings, number: int) -> Decision:
        loss, others = standings.loss(number), standings.others(number)
        if not math.isfinite(loss):
            return not_finite(standings.step)
        until = self._next(standings.step)
        if len(others) < self.min_trials:
            return Continue(until=until)
        middle = median(others)
        if loss > middle:
            return Stop(
                reason=f"loss {number_text(loss)} at step {standings.step} is worse than "
                f"the median {number_text(middle)} of {len(others)} trials"
            )
        return Continue(until=until)

    def _next(self, step: int) -> int:
        passed = max(0, step - self.warmup_steps) // self.interval
        return self.warmup_steps + (passed + 1) * self.interval
