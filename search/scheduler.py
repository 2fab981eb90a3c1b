"""The seam between a running trial and what decides how far it runs.

A scheduler acts only when a trial reaches a milestone, and sees only that milestone's standings.
It is pure, and uses the standard library only: the API calls it inside a report.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from search.values import Wire

# A milestone's standings are bounded so that a report costs the same in a study of 100 trials and
# of 100,000: the rank among the latest 1,000 is within 0.05 of the rank among all (three sigma).
MAX_STANDINGS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one trial had reached at a milestone, as a loss: lower is better, +inf is not finite."""

    number: int
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The latest MAX_STANDINGS trials (by number) at one milestone, the deciding one among them."""

    step: int
    entries: Sequence[Standing]

    def loss(self, number: int) -> float:
        """The loss of one trial; raises KeyError when it is not among the entries."""
        for entry in self.entries:
            if entry.number == number:
                return entry.loss
        raise KeyError(number)

    def others(self, number: int) -> list[float]:
        """The losses of all but one trial, best first."""
        return sorted(entry.loss for entry in self.entries if entry.number != number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """Run on, up to `until`; None means as far as the program goes."""

    until: int | None = None
    reason: str | None = None
    kind: Literal["continue"] = "continue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End the trial now; its measurements count."""

    reason: str
    kind: Literal["stop"] = "stop"


Decision: TypeAlias = Continue | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler(Wire, ABC):
    """Decides how far a trial runs.  Concrete schedulers are final, frozen; fields are settings."""

    @abstractmethod
    def first_step(self, number: int) -> int | None:
        """The first milestone of the trial of that number; None when it is never judged."""

    @abstractmethod
    def decide(self, standings: Standings, number: int) -> Decision:
        """What the trial, which has reached the milestone `standings.step`, does next."""

    def bracket(self, number: int) -> int:
        """The bracket in which the trial of that number competes."""
        return 0
