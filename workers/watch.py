"""When an attempt is over, and what is then done about its trial: pure, a value that moves on.

A child normally ends its trial by itself: it tells, and says `ended`.  Everything else in here is
for children that do not: that die, hang, or run for a lease that is no longer theirs.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from workers.events import Event, Gone, Leave, Lost, Requested, Said
from workers.settings import Timings


@dataclass(frozen=True, slots=True)
class Finished:
    """The child is through with the trial; `healthy`: it can take another one."""

    healthy: bool


@dataclass(frozen=True, slots=True)
class Died:
    """The child is gone and its trial is not."""

    returncode: int


@dataclass(frozen=True, slots=True)
class Overdue:
    """The trial ran longer than the study allows."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Halted:
    """It was asked to stop, and did not in time."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Somebody else shall run it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The trial is no longer ours; nothing is to be said about it."""


Verdict: TypeAlias = Finished | Died | Overdue | Halted | GivenBack | Forgotten


@dataclass(frozen=True, slots=True)
class Watch:
    """The state of one attempt; times are seconds of a monotonic clock.

    `ending`: the child is through with the program and is telling the server.
    `due`: when we act ourselves, and how.
    """

    timings: Timings
    began: float
    max_seconds: float | None = None
    ending: bool = False
    due: tuple[float, Verdict] | None = None

    def after(self, event: Event, now: float) -> "Watch | Verdict":
        """The watch after an event, or the verdict when that ends the attempt."""
        match event:
            case Said(kind="ended", body=body):
                return Finished(healthy=bool(body.get("healthy")))
            case Said(kind="ending"):
                return replace(self, ending=True, due=self._last_words(now))
            case Said():
                return self
            case Gone(returncode=code):
                return Forgotten() if self._lost else Died(code)
            case Lost():
                # A child that tells ends its lease itself; its `ended` is on the way.
                patience = self.timings.telling if self.ending else self.timings.settle
                return replace(self, due=(now + patience, Forgotten()))
            case Requested() | Leave():
                return self._asked(event, now)

    def deadline(self) -> float | None:
        """When `expired` has to be looked at again; None while nothing is due."""
        times = [at for at in (self._limit(), self.due and self.due[0]) if at is not None]
        return min(times, default=None)

    def expired(self, now: float) -> Verdict | None:
        """The verdict that time alone has brought about."""
        if self.due is not None and now >= self.due[0]:
            return self.due[1]
        limit = self._limit()
        if limit is not None and self.max_seconds is not None and now >= limit:
            return Overdue(self.max_seconds)
        return None

    @property
    def _lost(self) -> bool:
        return self.due is not None and isinstance(self.due[1], Forgotten)

    def _last_words(self, now: float) -> tuple[float, Verdict] | None:
        return (now + self.timings.telling, Forgotten()) if self._lost else None

    def _limit(self) -> float | None:
        # Telling is not running: a slow server does not make a trial overdue.
        if self.max_seconds is None or self.ending:
            return None
        return self.began + self.max_seconds

    def _asked(self, event: Requested | Leave, now: float) -> "Watch | Verdict":
        if isinstance(event, Leave):
            back = GivenBack(event.reason)
            return replace(self, due=(now + self.timings.settle, back)) if self.ending else back
        if self.ending or self.due is not None:
            return self
        if event.kind == "stop":
            return replace(self, due=(now + self.timings.stop_grace, Halted(event.reason)))
        reason = event.reason or "released at the server's request"
        return replace(self, due=(now + self.timings.release_grace, GivenBack(reason)))
