"""Asking a study for trials, for as long as it takes."""

import logging
import math
import threading
from collections.abc import Mapping

from trimtab import _retry
from trimtab._retry import HOT, Retry
from trimtab._transport import Cancelled, Transport
from trimtab.errors import LeaseInUse, LeaseLost, NothingToRun, StudyEnded, StudyPaused
from trimtab.lease import LONGEST_WAIT, ask, new_lease_id
from trimtab.models import Value, Waiting
from trimtab.trial import Trial

log = logging.getLogger("trimtab")
PAUSED_SECONDS = 5.0  # between two asks of a paused study


class Asking:
    """One worker's asks to one study."""

    def __init__(
        self,
        transport: Transport,
        study: str,
        worker: str | None = None,
        context: Mapping[str, Value] | None = None,
    ) -> None:
        self._transport = transport
        self._clock = transport.clock
        self._study = study
        self._worker = worker
        self._context = dict(context or {})
        self._lease_id = new_lease_id()

    def one(self, timeout: float | None = None) -> Trial:
        """A trial.

        Raises StudyPaused, StudyEnded, and after `timeout` seconds NothingToRun, or
        ConnectionFailed if the server is away.
        """
        deadline = None if timeout is None else self._clock.now() + timeout
        while True:
            left = math.inf if deadline is None else max(0.0, deadline - self._clock.now())
            retry = HOT if deadline is None else Retry(patience=left)
            answer = self._ask(min(left, LONGEST_WAIT), None, retry)
            if isinstance(answer, Trial):
                return answer
            if deadline is not None and self._clock.now() + answer.retry_after > deadline:
                raise NothingToRun(f"no trial came within {timeout:g} seconds")
            self._clock.sleep(_shaken(answer.retry_after))

    def next(self, cancel: threading.Event | None = None) -> Trial | None:
        """The next trial, waiting through pauses; None when the study ended or on `cancel`."""
        while cancel is None or not cancel.is_set():
            try:
                answer = self._ask(LONGEST_WAIT, cancel)
            except (StudyEnded, Cancelled):
                return None
            except StudyPaused:
                log.info("the study is paused: waiting until it is resumed")
                self._clock.sleep(_shaken(PAUSED_SECONDS), cancel)
                continue
            if isinstance(answer, Trial):
                return answer
            self._clock.sleep(_shaken(answer.retry_after), cancel)
        return None

    def _ask(
        self, wait: float, cancel: threading.Event | None, retry: Retry = HOT
    ) -> Trial | Waiting:
        try:
            answer = ask(
                self._transport,
                self._study,
                lease_id=self._lease_id,
                worker=self._worker,
                wait=wait,
                context=self._context,
                retry=retry,
                cancel=cancel,
            )
        except (LeaseLost, LeaseInUse):
            # An answer went astray for longer than the lease ran.
            self._lease_id = new_lease_id()
            return Waiting(retry_after=0.0)
        if isinstance(answer, Waiting):
            return answer
        self._lease_id = new_lease_id()
        return Trial(self._transport, answer[1])


def _shaken(seconds: float) -> float:
    """About as long, so that workers that were sent away together do not come back together."""
    return _retry.jitter(seconds, seconds * 1.25)
