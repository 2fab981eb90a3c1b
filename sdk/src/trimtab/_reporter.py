"""Between the training loop and the network: what is buffered, what was answered."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from trimtab._buffer import Buffer, to_wire
from trimtab._clock import Clock
from trimtab._retry import Retry
from trimtab._transport import Cancelled
from trimtab.decision import Decision
from trimtab.errors import (
    ApiError,
    ConnectionFailed,
    InternalError,
    LeaseLost,
    Released,
    TrimtabError,
    Unavailable,
)
from trimtab.lease import Lease
from trimtab.models import Beaten, Reported, RequestBody, Told

FLUSH_SECONDS = 5.0
FLUSH_STEPS = 100
# What is left of an outage when a call stops trying.
OUTAGES = (ConnectionFailed, InternalError, Unavailable)


class Reporter:
    """Buffers the measurements of one lease, sends them, and remembers the answers.

    `report` is called by the training thread, `flush` and `beat` by either thread.  What goes wrong
    on the keeper's thread is kept, and raised at the next report.
    """

    def __init__(
        self,
        lease: Lease,
        clock: Clock,
        *,
        buffer: Buffer | None = None,
    ) -> None:
        self.lease = lease
        self.wake: Callable[[], None] = lambda: None  # called when many steps wait
        self.began = clock.now()
        self.oldest_at: float | None = None  # when the oldest waiting measurement was reported
        self.lost: LeaseLost | None = None
        self._clock = clock
        self._buffer = buffer or Buffer()
        self._decision = Decision(until=lease.asked.until)
        self._warned = False  # whether the training loop has seen the request to release
        self._error: TrimtabError | None = None
        self._lock = threading.Lock()  # the state above; held for moments only
        self._sending = threading.Lock()  # one flush at a time, so that steps arrive in order

    @property
    def decision(self) -> Decision:
        """The last known decision."""
        return self._decision

    @property
    def pending(self) -> int:
        """Steps that wait to be sent."""
        return len(self._buffer)

    @property
    def given_up(self) -> int:
        """Steps that were dropped because too many waited."""
        return self._buffer.given_up

    def report(self, step: int, values: Mapping[str, float]) -> Decision:
        """Take in measurements.

        Below the milestone this returns at once with the last known decision; at the milestone or
        past it, it sends what waits and returns the answer.
        """
        self._raise_what_happened()
        with self._lock:
            self._buffer.add(step, values, self._clock.now() - self.began)
            if self.oldest_at is None:
                self.oldest_at = self._clock.now()
            until, stopped = self._decision.until, self._decision.stop
        if until is not None and step >= until and not stopped:
            self.flush()
            self._raise_what_happened()
        elif len(self._buffer) >= FLUSH_STEPS:
            self.wake()
        return self._shown()

    def flush(self, cancel: threading.Event | None = None, retry: Retry | None = None) -> None:
        """Send all that waits.  Errors are kept for `report`; nothing is lost by `cancel`.

        With a `retry` that gives up, an outage raises ConnectionFailed or Unavailable, and what
        waits goes on waiting.
        """
        patience = None if retry is None else retry.patience
        if not self._sending.acquire(timeout=-1 if patience is None else patience):
            raise ConnectionFailed("the server is away: measurements wait to be sent")
        try:
            while not self.lost and self._flush_one(cancel, retry):
                pass
        finally:
            self._sending.release()

    def tell(self, outcome: Mapping[str, Any], retry: Retry) -> Told | None:
        """End the trial, and send what waits in the same request.

        None where one request cannot do both, or was refused: then nothing was told, what waits
        goes on waiting, and `flush` finds out what is wrong.
        """
        if not self._sending.acquire(timeout=-1 if retry.patience is None else retry.patience):
            raise ConnectionFailed("the server is away: measurements wait to be sent")
        try:
            return self._tell_with_all(outcome, retry)
        finally:
            self._sending.release()

    def _tell_with_all(self, outcome: Mapping[str, Any], retry: Retry) -> Told | None:
        if self.lost or self._error:
            return None
        with self._lock:
            batch = self._buffer.take()
            together = not len(self._buffer)
        try:
            if together:
                return self.lease.tell(outcome, retry, to_wire(batch))
        except LeaseLost as error:
            if not batch:
                raise
            self._keep(error)
            return None
        except BaseException as error:  # an interrupt too: what was measured is not lost
            self._put_back(batch)
            if not batch or isinstance(error, OUTAGES) or not isinstance(error, ApiError):
                raise
            return None
        self._put_back(batch)
        return None

    def beat(self, cancel: threading.Event | None = None) -> None:
        """Renew the lease.  Errors are kept for `report`."""
        try:
            self._hear_beat(self.lease.heartbeat(cancel))
        except Cancelled:
            return
        except TrimtabError as error:
            self._keep(error)

    def request(self, kind: str, reason: str | None) -> None:
        """Take in a request to stop or release, however it came; the first one stays."""
        with self._lock:
            if kind == "stop" and self._decision.kind != "stop":
                self._decision = Decision("stop", self._decision.until, reason)
            elif kind == "release" and not self._decision.stop:
                self._decision = Decision("release", self._decision.until, reason)

    def take_error(self) -> TrimtabError | None:
        """What went wrong in the background and was not raised yet; asking forgets it."""
        with self._lock:
            error, self._error = self._error, None
        return error

    def _flush_one(self, cancel: threading.Event | None, retry: Retry | None) -> bool:
        with self._lock:
            batch, self.oldest_at = self._buffer.take(), None
        if not batch:
            return False
        try:
            self._hear_report(self.lease.report(to_wire(batch), cancel, retry))
        except OUTAGES:
            self._put_back(batch)
            raise
        except Cancelled:
            self._put_back(batch)
            return False
        except TrimtabError as error:
            self._keep(error)
        return True

    def _put_back(self, batch: list[dict[str, Any]]) -> None:
        with self._lock:
            self._buffer.put_back(batch)
            self.oldest_at = self._clock.now()

    def _keep(self, error: TrimtabError) -> None:
        with self._lock:
            if isinstance(error, LeaseLost):
                self.lost = self.lost or error
                self._buffer.clear()
                self.oldest_at = None
            else:
                self._error = self._error or error

    def _hear_report(self, answer: Reported) -> None:
        if answer.decision.kind == "stop":
            self.request("stop", answer.decision.reason)
        self._hear_until(answer.decision.until)
        self._hear_request(answer.request)

    def _hear_beat(self, answer: Beaten) -> None:
        self._hear_until(answer.until)
        self._hear_request(answer.request)

    def _hear_until(self, until: int | None) -> None:
        with self._lock:
            known = self._decision
            # Answers may overtake each other; milestones only ever move on.
            if known.until is not None and (until is None or until > known.until):
                self._decision = Decision(known.kind, until, known.reason)

    def _hear_request(self, request: RequestBody | None) -> None:
        if request is not None:
            self.request(request.kind, request.reason)

    @property
    def interruption(self) -> BaseException | None:
        """What ends the training at its next report, because the trial is no longer its own."""
        if self.lost:
            return self.lost
        if self._warned and self._decision.kind == "release":
            return Released(self._decision.reason or "the server asked for the trial back")
        return None

    def _raise_what_happened(self) -> None:
        if interruption := self.interruption:
            raise interruption
        if error := self.take_error():
            raise error

    def _shown(self) -> Decision:
        if self._decision.kind == "release":
            self._warned = True
        return self._decision
