"""The worker's right to run a trial, and all that it may say while it holds it.

`Trial` is built on this.  An agent, which runs trials in another process, uses it directly.
"""

import os
import socket
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from trimtab._retry import HOT, Retry
from trimtab._transport import Answer, Call, Transport
from trimtab.errors import LeaseInUse, LeaseLost
from trimtab.models import Asked, Beaten, CheckpointMade, Reported, Told, Value, Waiting

LONGEST_WAIT = 20.0  # seconds that the server holds an ask open
JSON: TypeAlias = Mapping[str, Any]


def worker_name() -> str:
    """How this process is called in the list of attempts: host and process id."""
    return f"{socket.gethostname()[:200]}/{os.getpid()}"


def ask(
    transport: Transport,
    study: str,
    *,
    lease_id: str,
    worker: str | None = None,
    wait: float = 10.0,
    context: Mapping[str, Value] | None = None,
    retry: Retry = HOT,
    cancel: threading.Event | None = None,
) -> "tuple[Asked, Lease] | Waiting":
    """Ask the study for a trial, holding the request open for up to `wait` seconds.

    A study with a context wants a value for each of its parameters.

    Asking again with the same `lease_id` gives the same trial.  Raises StudyPaused, StudyEnded,
    and LeaseLost when the trial of this lease id is no longer the caller's: use a new one.
    """
    wait = min(max(wait, 0.0), LONGEST_WAIT)
    body: dict[str, Any] = {"lease_id": lease_id, "worker": worker or worker_name(), "wait": wait}
    if context:
        body["context"] = dict(context)
    call = Call("POST", f"/v1/studies/{study}/trials:ask", body, timeout=wait + 20.0)
    answer = transport.send(call, retry, cancel)
    if answer.status == 202:
        return answer.read(Waiting)
    asked = answer.read(Asked)
    return asked, Lease(transport, asked, lease_id, sent_at=answer.sent_at)


def new_lease_id() -> str:
    """A lease id: a secret, made by whoever asks."""
    return str(uuid.uuid4())


class Lease:
    """One lease on one trial.  Its calls go on trying through any outage unless told otherwise.

    Every call raises LeaseLost once somebody else has the trial or it has ended.
    """

    def __init__(
        self, transport: Transport, asked: Asked, lease_id: str, *, sent_at: float | None = None
    ) -> None:
        self.asked = asked
        self.lease_id = lease_id
        self.lease_seconds = asked.lease_seconds
        self.renewed_at = transport.clock.now() if sent_at is None else sent_at
        self._transport = transport
        self._path = f"/v1/trials/{asked.trial.id}"

    @property
    def trusted(self) -> bool:
        """Whether the lease surely still holds.

        Counted on this machine's monotonic clock from when the last successful renewal was sent:
        the server cannot have counted from an earlier moment.
        """
        return self._transport.clock.now() < self.renewed_at + self.lease_seconds

    def report(
        self,
        measurements: Sequence[JSON],
        cancel: threading.Event | None = None,
        retry: Retry | None = None,
    ) -> Reported:
        """Send measurements `{step, values, elapsed_seconds}`; this renews the lease."""
        body = {"measurements": list(measurements)}
        answer = self._say("/measurements", body, cancel=cancel, retry=retry)
        reported = answer.read(Reported)
        self._renewed(answer, reported.lease_seconds)
        return reported

    def heartbeat(
        self, cancel: threading.Event | None = None, retry: Retry | None = None
    ) -> Beaten:
        """Renew the lease, and hear whether the trial should stop or be given back."""
        answer = self._say(":heartbeat", {}, cancel=cancel, retry=retry)
        beaten = answer.read(Beaten)
        self._renewed(answer, beaten.lease_seconds)
        return beaten

    def tell(
        self, outcome: JSON, retry: Retry | None = None, measurements: Sequence[JSON] = ()
    ) -> Told:
        """End the trial with an outcome `{kind, ...}`; the same outcome twice is one effect.

        The measurements are stored first, as `report` would; where they are refused, nothing is
        told.
        """
        body: dict[str, Any] = {"outcome": dict(outcome)}
        if measurements:
            body["measurements"] = list(measurements)
        return self._say(":tell", body, retry=retry).read(Told)

    def release(
        self,
        reason: str = "released",
        *,
        exit: str | None = None,  # noqa: A002 - the field's name on the wire
        log_tail: str | None = None,
        retry: Retry | None = None,
    ) -> None:
        """Give the trial back to be run by somebody else; it uses up no attempt.

        Releasing what one no longer holds is no error.
        """
        body = {"reason": reason[:1000] or "released", "exit": exit, "log_tail": log_tail}
        try:
            self._say(":release", {k: v for k, v in body.items() if v is not None}, retry=retry)
        except (LeaseLost, LeaseInUse):
            return

    def create_checkpoint(
        self, step: int, size: int, sha256: str, retry: Retry | None = None
    ) -> CheckpointMade:
        """Announce a checkpoint; the answer says where to put it."""
        body = {"step": step, "size": size, "sha256": sha256}
        return self._say("/checkpoints", body, retry=retry).read(CheckpointMade)

    def commit_checkpoint(self, key: str, retry: Retry | None = None) -> None:
        """Say that the checkpoint lies where it was to be put."""
        self._say("/checkpoints:commit", {"key": key}, retry=retry)

    def _say(
        self,
        path: str,
        body: JSON,
        *,
        cancel: threading.Event | None = None,
        retry: Retry | None = None,
    ) -> Answer:
        call = Call("POST", self._path + path, {"lease_id": self.lease_id, **body})
        return self._transport.send(call, retry or HOT, cancel)

    def _renewed(self, answer: Answer, seconds: float) -> None:
        if answer.sent_at >= self.renewed_at:
            self.renewed_at, self.lease_seconds = answer.sent_at, seconds
