"""Leases as a small pure model: what each call must answer, and what must be stored then."""

from dataclasses import dataclass, field
from enum import Enum, auto


class Says(Enum):
    """What a call answers."""

    OK = auto()
    LEASE_LOST = auto()
    ALREADY_TOLD = auto()
    WRONG_STATE = auto()
    INVALID = auto()


FINAL = {"completed", "stopped", "infeasible", "failed", "cancelled"}
MAX_ATTEMPTS = 3  # of the studies in the test


@dataclass
class Trial:
    """A trial and all that ever happened to it."""

    number: int
    state: str = "queued"
    attempt: int = 0
    holder: int | None = None  # the lease that is held
    last: int | None = None  # the latest lease, unless it was given back
    request: str | None = None
    lost: int = 0
    lost_workers: list[tuple[int, str]] = field(default_factory=list)  # attempt, worker
    worker: str = ""
    points: dict[int, tuple[int, float]] = field(default_factory=dict)  # step: attempt, value
    told_by: int | None = None
    told: object = None
    value: float | None = None

    def claim(self, lease: int, worker: str) -> None:
        """A worker takes it."""
        assert self.state == "queued"
        self.state, self.attempt, self.worker = "running", self.attempt + 1, worker
        self.holder = self.last = lease
        self.request = None

    def report(self, lease: int, batch: dict[int, float]) -> tuple[Says, tuple[int, int, int]]:
        """Accepted, already, conflicting."""
        if self.holder != lease:
            return Says.LEASE_LOST, (0, 0, 0)
        accepted = already = conflicting = 0
        for step, value in batch.items():
            attempt, there = self.points.get(step, (0, 0.0))
            if attempt < self.attempt:
                self.points[step] = (self.attempt, value)
                accepted += 1
            elif there == value:
                already += 1
            else:
                conflicting += 1
        return Says.OK, (accepted, already, conflicting)

    def tell(self, lease: int, kind: str, value: float | None) -> Says:
        """End it, once."""
        outcome = (kind, value)
        if self.told_by == lease:
            return Says.OK if self.told == outcome else Says.ALREADY_TOLD
        late = self.state == "queued" and self.last == lease
        if self.holder != lease and not late:
            return Says.LEASE_LOST
        reach = max((s for s, (a, _) in self.points.items() if a == self.attempt), default=-1)
        kept = {s: p for s, p in self.points.items() if p[0] == self.attempt or s <= reach}
        measured = kept[max(kept)][1] if kept else None
        final = measured if value is None else value
        if kind == "completed" and final is None:
            return Says.INVALID
        self.points, self.value = kept, final if kind in {"completed", "stopped"} else None
        self.state, self.told_by, self.told = kind, lease, outcome
        self.holder = None
        return Says.OK

    def release(self, lease: int) -> Says:
        """Give it back."""
        if self.holder != lease:
            return Says.LEASE_LOST
        self.holder = self.last = None
        self._end_or_queue()
        return Says.OK

    def expire(self) -> str:
        """The lease runs out."""
        assert self.state == "running"
        self.holder = None
        if self.request is None:
            before = self.lost_workers
            poison = any(
                worker != self.worker and not any(a >= attempt for a, _ in self.points.values())
                for attempt, worker in before
            )
            self.lost += 1
            self.lost_workers = [*before, (self.attempt, self.worker)]
            if poison or self.lost >= MAX_ATTEMPTS:
                self.state = "failed"
                return "poison" if poison else "lost"
        else:
            self.lost_workers = [*self.lost_workers, (self.attempt, self.worker)]
        self._end_or_queue()
        return self.state

    def cancel(self) -> Says:
        """A person ends it."""
        if self.state == "cancelled":
            return Says.OK
        if self.state in FINAL:
            return Says.WRONG_STATE
        self.state, self.holder, self.last = "cancelled", None, None
        return Says.OK

    def _end_or_queue(self) -> None:
        if self.request != "stop":
            self.state = "queued"
            return
        self.state = "stopped"
        reach = max((s for s, (a, _) in self.points.items() if a == self.attempt), default=-1)
        self.points = {s: p for s, p in self.points.items() if p[0] == self.attempt or s <= reach}
        self.value = self.points[max(self.points)][1] if self.points else None
