"""Every trial runs to its end."""

from dataclasses import dataclass
from typing import Literal, final

from search.scheduler import Continue, Decision, Scheduler, Standings


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Full(Scheduler):
    """Never judges a trial."""

    kind: Literal["full"] = "full"

    def first_step(self, number: int) -> int | None:
        return None

    def decide(self, standings: Standings, number: int) -> Decision:
        return Continue()
