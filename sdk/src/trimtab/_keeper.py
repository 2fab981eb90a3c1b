"""The thread beside the training: keeps the lease, and sends what waits."""

import contextlib
import threading

from trimtab import _retry
from trimtab._clock import Clock
from trimtab._registry import PARTING
from trimtab._reporter import FLUSH_SECONDS, FLUSH_STEPS, Reporter
from trimtab.errors import TrimtabError


class Keeper:
    """Says what is due when.  `tick` does it and returns the seconds until the next thing.

    The lease is renewed after a third of its time (a little earlier, at random, so that workers
    do not come in step), so two renewals may fail before it is in danger.  Without `heartbeat`
    somebody else renews it, and only measurements are sent.
    """

    def __init__(self, reporter: Reporter, clock: Clock, *, heartbeat: bool = True) -> None:
        self._reporter = reporter
        self._clock = clock
        self._heartbeat = heartbeat
        self._share = _retry.jitter(0.26, 1 / 3)
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._cancel = threading.Event()
        self._abandoned = False

    def tick(self) -> float:
        """Do what is due now; seconds until something is due again."""
        if self._flush_due():
            self._reporter.flush(self._cancel)
        elif self._heartbeat and self._clock.now() >= self._beat_at():
            self._reporter.beat(self._cancel)
            self._share = _retry.jitter(0.26, 1 / 3)
        return max(0.0, min(self._flush_at(), self._beat_at()) - self._clock.now())

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="trimtab-keeper", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at once whether something is due."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread; what still waits stays in the reporter's buffer."""
        self._cancel.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            # It may be in a request of its own; that does no harm any more.
            self._thread.join(timeout=1.0)

    def abandon(self) -> None:
        """Nobody holds the trial any more: give it back, from the thread."""
        self._abandoned = True
        self._cancel.set()
        self._wake.set()

    def _run(self) -> None:
        while not (self._cancel.is_set() or self._reporter.lost):
            self._wake.clear()
            wait = self.tick()
            if not self._cancel.is_set():
                self._wake.wait(wait)
        if self._abandoned:
            with contextlib.suppress(TrimtabError):
                self._reporter.lease.release("nobody held it any more", retry=PARTING)

    def _flush_due(self) -> bool:
        return self._reporter.pending >= FLUSH_STEPS or self._clock.now() >= self._flush_at()

    def _flush_at(self) -> float:
        oldest = self._reporter.oldest_at
        return float("inf") if oldest is None else oldest + FLUSH_SECONDS

    def _beat_at(self) -> float:
        if not self._heartbeat:
            return self._clock.now() + FLUSH_SECONDS
        lease = self._reporter.lease
        return lease.renewed_at + lease.lease_seconds * self._share
