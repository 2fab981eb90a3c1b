"""The scheduler for whoever does not want to choose one."""

from dataclasses import dataclass
from typing import Literal, final

from search.scheduler import Decision, Scheduler, Standings
from search.schedulers.median import Median


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AutoScheduler(Scheduler):
    """The median rule as it comes: from step 4, at every step, against at least 5 others.

    In comparisons on learning curves at equal cost it kept most of what full runs find, and led
    successive halving; it needs no idea of how long a trial runs.
    """

    kind: Literal["auto"] = "auto"

    def first_step(self, number: int) -> int | None:
        return Median().first_step(number)

    def decide(self, standings: Standings, number: int) -> Decision:
        return Median().decide(standings, number)
