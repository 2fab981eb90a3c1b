"""One attempt at one trial: hand it to the child, watch, and see to it that its end is told."""

import logging
import queue
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trimtab._retry import HOT, Retry
from trimtab.errors import AlreadyTold, LeaseLost, NotFound, TrimtabError
from trimtab.lease import Lease

from workers import exits
from workers.errors import ChildFailed
from workers.events import Event, Gone, Leave, Requested, Said
from workers.heartbeat import Heartbeat
from workers.process import Child
from workers.programs import Target
from workers.settings import Timings
from workers.watch import Died, Finished, Forgotten, GivenBack, Halted, Overdue, Verdict, Watch

log = logging.getLogger(__name__)

Inbox = queue.SimpleQueue[Event]


# What is said in leaving: the lease runs out anyway.
PARTING = Retry(patience=2.0, cap=0.5)


def label(lease: Lease) -> str:
    """Number and attempt of a trial, for file names and logs."""
    return f"{lease.asked.trial.number}-{lease.asked.attempt}"


class Attempt:
    """Runs one leased trial on a child.  `run` returns whether the child can take another one."""

    def __init__(
        self,
        lease: Lease,
        *,
        child: Child,
        inbox: Inbox,
        timings: Timings,
        max_seconds: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease = lease
        self._child = child
        self._inbox = inbox
        self._timings = timings
        self._clock = clock
        self._memory_kills = exits.memory_kills()
        self._watch = Watch(timings=timings, began=clock(), max_seconds=max_seconds)

    def run(self, target: Target, log_file: Path) -> bool:
        """Hand the trial over and stay until it is told, given back or lost.

        Raises ChildFailed, the trial given back, when the child could not even start.
        """
        self._forget_the_past()
        self._child.output.begin(log_file)
        beat_most = self._timings.beat_most
        heartbeat = Heartbeat(self._lease, beat_most=beat_most, say=self._inbox.put)
        try:
            self._child.send(self._order(target))
            return self._conclude(self._await_verdict())
        finally:
            heartbeat.end()

    def _order(self, target: Target) -> dict[str, Any]:
        return {
            "do": "run",
            "lease_id": self._lease.lease_id,
            "asked": self._lease.asked.model_dump(mode="json"),
            "target": target.to_json(),
        }

    def _forget_the_past(self) -> None:
        """Drop what concerned an earlier trial of the same child."""
        kept: list[Event] = []
        while not self._inbox.empty():
            event = self._inbox.get()
            if isinstance(event, Gone | Leave):
                kept.append(event)
        for event in kept:
            self._inbox.put(event)

    def _await_verdict(self) -> Verdict:
        while True:
            now = self._clock()
            if (late := self._watch.expired(now)) is not None:
                return late
            deadline = self._watch.deadline()
            try:
                event = self._inbox.get(timeout=None if deadline is None else deadline - now)
            except queue.Empty:
                continue
            step = self._watch.after(event, self._clock())
            if not isinstance(step, Watch):
                return step
            self._watch = step
            self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        """What the child is to hear of it."""
        match event:
            case Said(kind="ending"):
                self._child.send({"log_tail": self._child.output.tail()})
            case Requested(kind=kind, reason=reason):
                self._child.send({"request": {"kind": kind, "reason": reason}})

    def _conclude(self, verdict: Verdict) -> bool:
        match verdict:
            case Finished(healthy=healthy):
                return healthy
            case Died(returncode=code):
                self._report_death(code)
            case Forgotten():
                log.info("trial %s: the lease is gone", label(self._lease))
                self._child.end(self._timings.kill_grace)
            case Overdue(seconds=seconds):
                self._child.end(self._timings.kill_grace)
                message = f"it ran longer than {seconds:g} s"
                self._tell({"kind": "failed", "reason": "timeout", "message": message})
            case Halted(reason=reason):
                self._child.end(self._timings.kill_grace)
                self._tell({"kind": "stopped", "reason": reason or "asked to stop"})
            case GivenBack(reason=reason):
                self._child.end(self._timings.leave_grace)
                self._release(reason, None, PARTING)
        return False

    def _report_death(self, returncode: int) -> None:
        more = exits.memory_kills() > self._memory_kills
        attempt = self._lease.asked.attempt
        ended = exits.explain(returncode, out_of_memory=more, attempt=attempt)
        log.warning("trial %s: its process ended: %s", label(self._lease), ended.text)
        if not self._child.ready:
            self._release(f"the process could not start: {ended.text}", ended.text)
            raise ChildFailed(self._child.output.tail()[-500:] or ended.text)
        if ended.cause == "outside":
            self._release(f"its process was {ended.text}", ended.text)
            return
        message = f"the process of the trial ended: {ended.text}"
        self._tell(
            {"kind": "failed", "reason": ended.cause, "message": message, "exit": ended.text}
        )

    def _tell(self, outcome: Mapping[str, Any]) -> None:
        body = {**outcome, "log_tail": self._child.output.tail()}
        self._settle(lambda: self._lease.tell(body, HOT))

    def _release(self, reason: str, exit_text: str | None, retry: Retry = HOT) -> None:
        tail = self._child.output.tail()
        self._settle(
            lambda: self._lease.release(reason, exit=exit_text, log_tail=tail, retry=retry)
        )

    def _settle(self, call: Callable[[], object]) -> None:
        """Say how it ended.  What cannot be said is left to the lease, which then runs out."""
        try:
            call()
        except (LeaseLost, AlreadyTold, NotFound):
            log.info("trial %s had ended already", label(self._lease))
        except TrimtabError as error:
            log.warning("trial %s: its end could not be told: %s", label(self._lease), error)
