"""One trial in the hands of the code that runs it."""

import logging
import math
import operator
import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, SupportsFloat, SupportsIndex, TypeAlias

from trimtab import _checkpoints, _outcomes
from trimtab._keeper import Keeper
from trimtab._registry import OPEN
from trimtab._reporter import OUTAGES, Reporter
from trimtab._retry import COLD, HOT, Retry
from trimtab._transport import Call, Transport
from trimtab.decision import Decision
from trimtab.lease import Lease
from trimtab.models import CheckpointOffer, Config, Told, TrialInfo

log = logging.getLogger("trimtab")
Metrics: TypeAlias = Mapping[str, SupportsFloat]
# How long a checkpoint waits for a server that is away before training goes on without it.
CHECKPOINT_PATIENCE = Retry(patience=30.0)


class Trial:
    """A trial that this process holds the lease of.

    Get one from `study.trials()` or `study.ask()`; report measurements, and leave the loop body or
    the `with` block to end it.  A thread in the background renews the lease and sends measurements.
    It is used by one thread at a time.

    `heartbeat=False` is for a process whose parent renews the lease.
    """

    def __init__(self, transport: Transport, lease: Lease, *, heartbeat: bool = True) -> None:
        asked = lease.asked
        self.id = asked.trial.id
        self.study = asked.trial.study_name
        self.number = asked.trial.number
        self.seed = asked.trial.seed
        self.attempt = asked.attempt
        self.metrics = tuple(asked.trial.metrics)
        self.checkpoint: CheckpointOffer | None = asked.checkpoint
        self.told: Told | None = None
        self._config = dict(asked.trial.config)
        self._context = dict(asked.trial.context)
        self._transport = transport
        self._lease = lease
        self._heartbeat = heartbeat
        self._open = True
        self._reporter = Reporter(lease, transport.clock)
        self._keeper = Keeper(self._reporter, transport.clock, heartbeat=heartbeat)
        self._reporter.wake = self._keeper.wake
        self._keeper.start()
        # Neither thread nor registry keeps the trial alive: one that is dropped is given back.
        self._forgotten = weakref.finalize(self, _forget, self._keeper, release=heartbeat)
        self._forgotten.atexit = False
        if heartbeat:
            OPEN.add(self)

    @property
    def config(self) -> Config:
        """Parameter name to value; a parameter whose condition does not hold is absent."""
        return dict(self._config)

    @property
    def context(self) -> Config:
        """What was given with the ask: a value for each parameter of the study's context."""
        return dict(self._context)

    @property
    def decision(self) -> Decision:
        """The last known decision; it may change between two reports."""
        return self._reporter.decision

    @property
    def until(self) -> int | None:
        """The next step at which the scheduler decides, None when there is none."""
        return self._reporter.decision.until

    @property
    def interruption(self) -> BaseException | None:
        """What the next report would raise because of the lease: LeaseLost, Released or nothing."""
        return self._reporter.interruption

    @property
    def open(self) -> bool:
        """Whether the trial has not been ended, given back or lost."""
        return self._open

    @property
    def dropped(self) -> int:
        """Steps that were given up because the server was away for too long (see Buffer)."""
        return self._reporter.given_up

    def report(
        self, step: SupportsIndex, values: Metrics | None = None, /, **metrics: SupportsFloat
    ) -> Decision:
        """Say what was measured at a step: `trial.report(epoch, loss=0.3, accuracy=0.9)`.

        Names that are no Python names go into a mapping: `trial.report(epoch, {"val/loss": 0.3})`.
        Anything that float() takes is a value, so are NaN and infinity.  The steps start at 0; a
        value once reported at a step stays.

        Below the next milestone (`until`) this costs microseconds: measurements are sent in the
        background after 5 seconds or 100 steps, and the last known decision is returned.  At the
        milestone it sends them and waits for the answer, through any outage of the server.

        Raises LeaseLost when somebody else has the trial, Released when the training goes on after
        a decision to release, and the ApiError that an earlier report met in the background.
        """
        return self._reporter.report(_step(step), _floats(values, metrics))

    def save_checkpoint(
        self, source: str | os.PathLike[str] | bytes, *, step: SupportsIndex
    ) -> bool:
        """Store a checkpoint, one file or bytes, from which the trial goes on if this worker dies.

        Earlier measurements are sent first.  Returns whether it was stored: while the server is
        away it is not (after 30 seconds, with a warning), and training goes on.  Raises LeaseLost
        and CheckpointError.
        """
        content = _checkpoints.content_of(source)
        try:
            self._before_checkpoint()
            made = self._lease.create_checkpoint(
                _step(step), content.size, content.sha256, CHECKPOINT_PATIENCE
            )
            _checkpoints.put(made.uri, content)
            self._lease.commit_checkpoint(made.key, CHECKPOINT_PATIENCE)
        except OUTAGES as error:
            log.warning("trial %d: no checkpoint at step %s: %s", self.number, step, error)
            return False
        return True

    def load_checkpoint(self) -> Path | None:
        """The file of the checkpoint to go on from, None when the trial starts from nothing.

        `trial.checkpoint.step` is the step it was made at.  Do not change the file.  Raises
        CheckpointError when it is missing or its bytes are not those that were stored.
        """
        return None if self.checkpoint is None else _checkpoints.fetch(self.checkpoint)

    @property
    def tags(self) -> list[str]:
        """Labels of the trial; assigning replaces them (needs a key that may write)."""
        return self._read().tags

    @tags.setter
    def tags(self, tags: Sequence[str]) -> None:
        self._patch({"tags": list(tags)})

    @property
    def attributes(self) -> dict[str, Any]:
        """Facts about the trial, any JSON; assigning replaces them (needs a key that may write)."""
        return dict(self._read().attributes)

    @attributes.setter
    def attributes(self, attributes: Mapping[str, Any]) -> None:
        # The server merges; null removes.
        gone = dict.fromkeys(self._read().attributes.keys() - attributes.keys())
        self._patch({"attributes": {**gone, **attributes}})

    def complete(
        self,
        values: Metrics | None = None,
        /,
        *,
        errors: Metrics | None = None,
        gradients: Metrics | None = None,
        **metrics: SupportsFloat,
    ) -> Told:
        """End the trial: it ran to its end.  Values not given are read from its measurements.

        `errors` are standard errors of values, where they are known, as of a mean over folds:
        `trial.complete(loss=0.31, errors={"loss": 0.02})`.  In a loop or a `with` block this is the
        last statement of the body.  Where the objective has gradients, `gradients` are its
        derivatives with respect to float parameters, in the units of both, as many as are known:
        `trial.complete(loss=0.31, gradients={"lr": -4.2})`.  A metric that is called errors or
        gradients goes into the mapping `values`.

        A trial whose objective is not finite ends `infeasible`.  Raises InvalidRequest when a
        metric of the study was never measured; the trial then goes on.
        """
        given = _floats(values, metrics) if values or metrics else {}
        return self.end(_outcomes.completed(given, _errors(errors), _gradients(gradients)))

    def stopped(self, reason: str | None = None) -> Told:
        """End the trial before its end; its measurements count."""
        return self.end(_outcomes.stopped(reason or self.decision.reason))

    def infeasible(self, reason: str) -> Told:
        """End the trial: the config is bad, and no other attempt would do better."""
        return self.end(_outcomes.infeasible(reason))

    def fail(self, message: str, *, reason: str = "user_error") -> Told:
        """End the trial: the program gave up.  `reason` is user_error, oom or timeout."""
        return self.end(_outcomes.failed(message, reason))

    def release(self, reason: str = "released") -> None:
        """Give the trial back: somebody else goes on with it, from its last checkpoint.

        While the server is away this gives up after 10 seconds: the lease runs out by itself.
        """
        if not self._open:
            return
        try:
            self._reporter.flush(retry=COLD)
            if not self._reporter.lost:
                self._lease.release(reason, retry=COLD)
        except OUTAGES as error:
            log.warning("trial %d could not be given back: %s", self.number, error)
        finally:
            self._closed()

    def let_go(self) -> None:
        """Hold the trial no longer, and tell nothing: it is somebody else's, or will be."""
        self._closed()

    def request(self, kind: str, reason: str | None = None) -> None:
        """Take in a request to "stop" or "release" that came by another way than the server's."""
        self._reporter.request(kind, reason)

    def flush(self) -> None:
        """Send all measurements that wait, and wait until they are there."""
        self._reporter.flush()
        self._raise_pending()

    def __enter__(self) -> "Trial":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return _outcomes.conclude(self, error)

    def __repr__(self) -> str:
        return f"<Trial {self.number} of {self.study!r}, attempt {self.attempt}: {self._config}>"

    def abandon(self, retry: Retry) -> None:
        """Give the trial back on the way out of the process, without insisting."""
        if self._open:
            self._closed()
            self._lease.release("the process ended", retry=retry)

    def end(self, outcome: Mapping[str, Any], retry: Retry = HOT) -> Told:
        """End the trial with an outcome as it travels: `{"kind": "completed", ...}`."""
        self.told = self._reporter.tell(outcome, retry) or self._end_apart(outcome, retry)
        self._closed()
        return self.told

    def _end_apart(self, outcome: Mapping[str, Any], retry: Retry) -> Told:
        self._reporter.flush(retry=retry)
        self._raise_pending()
        return self._lease.tell(outcome, retry)

    def _raise_pending(self) -> None:
        if self._reporter.lost:
            self._closed()
            raise self._reporter.lost
        if error := self._reporter.take_error():
            raise error

    def _closed(self) -> None:
        self._open = False
        OPEN.discard(self)
        self._forgotten.detach()
        self._keeper.stop()

    def _before_checkpoint(self) -> None:
        self._reporter.flush(retry=CHECKPOINT_PATIENCE)
        self._raise_pending()
        if self._heartbeat and not self._lease.trusted:
            # The lease may be another's by now: ask before anything is written.
            self._lease.heartbeat(retry=CHECKPOINT_PATIENCE)

    def _read(self) -> TrialInfo:
        return self._transport.send(Call("GET", f"/v1/trials/{self.id}")).read(TrialInfo)

    def _patch(self, body: Mapping[str, Any]) -> None:
        self._transport.send(Call("PATCH", f"/v1/trials/{self.id}", body))


def _forget(keeper: Keeper, *, release: bool) -> None:
    if release:
        keeper.abandon()
    else:
        keeper.stop()


def _step(step: SupportsIndex) -> int:
    if isinstance(step, bool):
        raise TypeError("step: expected a whole number, got a bool")
    number = operator.index(step)
    if not 0 <= number < 2**31:
        raise ValueError(f"step: expected 0 <= step < 2**31, got {number}")
    return number


def _floats(values: Metrics | None, metrics: Metrics) -> dict[str, float]:
    given = {**(values or {}), **metrics}
    if not given:
        raise TypeError("expected at least one metric, such as report(step, loss=0.3)")
    return {name: _float(name, value) for name, value in given.items()}


def _errors(errors: Metrics | None) -> dict[str, float]:
    if errors is not None and not isinstance(errors, Mapping):
        raise TypeError('errors: expected standard errors by metric, as in {"loss": 0.02}')
    found = {name: _float(name, error) for name, error in (errors or {}).items()}
    for name, error in found.items():
        if not 0 <= error < math.inf:
            raise ValueError(f"errors: expected a standard error >= 0 of {name}, got {error}")
    return found


def _gradients(gradients: Metrics | None) -> dict[str, float]:
    if gradients is not None and not isinstance(gradients, Mapping):
        raise TypeError('gradients: expected derivatives by parameter, as in {"lr": -4.2}')
    found = {name: _float(name, slope) for name, slope in (gradients or {}).items()}
    for name, slope in found.items():
        if not math.isfinite(slope):
            raise ValueError(f"gradients: expected a finite derivative for {name}, got {slope}")
    return found


def _float(name: str, value: SupportsFloat) -> float:
    if not isinstance(name, str) or not 1 <= len(name) <= 128:
        raise TypeError(f"a metric name is a text of 1 to 128 characters, got {name!r:.140}")
    if isinstance(value, str | bytes):
        raise TypeError(f"{name}: expected a number, got the text {value!r:.80}")
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        # A tensor with many elements raises one of these, depending on the library.
        raise TypeError(f"{name}: expected one number, got {type(value).__name__}") from error
