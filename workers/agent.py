"""An agent: holds one study's resources for as long as there are trials, and runs one at a time.

It knows nothing of Ray: the actor (workers.actor) is a thin shell round it, and tests run it in
any process.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from trimtab._transport import Cancelled, Transport
from trimtab.errors import (
    LeaseInUse,
    LeaseLost,
    NotFound,
    StudyEnded,
    StudyPaused,
    TrimtabError,
)
from trimtab.lease import Lease, ask, new_lease_id
from trimtab.models import Waiting

from workers.attempt import PARTING, Attempt, Inbox, label
from workers.environment import child_environment
from workers.errors import ProgramRefused, WorkersError
from workers.events import Leave
from workers.process import Child
from workers.programs import Target, resolve
from workers.settings import AgentOrder

log = logging.getLogger(__name__)

State: TypeAlias = Literal["idle", "running", "ended"]


@dataclass(frozen=True, slots=True)
class Status:
    """How an agent is; `failed`: it ended for a reason that another one may meet as well."""

    state: State
    trials: int = 0
    reason: str | None = None
    failed: bool = False


class Agent:
    """Asks, runs and asks again until the study has nothing more or it is told to go.

    `run` is for a thread of its own, the other methods for any.
    """

    def __init__(
        self,
        order: AgentOrder,
        transport: Transport,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._order = order
        self._transport = transport
        self._leaving = threading.Event()
        self._retiring = threading.Event()
        self._clock = clock
        self._heard = clock()
        self._inbox: Inbox = queue.SimpleQueue()
        self._child: Child | None = None
        self._status = Status("idle")
        self._over = threading.Event()
        self.orphaned = False

    def status(self) -> Status:
        """How it is.  Whoever asks this is its master: an agent that nobody asks goes."""
        self._heard = self._clock()
        return self._status

    def retire(self) -> None:
        """Go when the trial at hand has ended."""
        self._retiring.set()

    def stop(self, reason: str, *, within: float) -> bool:
        """Go now: end the child, give the trial back.  Returns whether that was done in time."""
        self._leaving.set()
        self._inbox.put(Leave(reason))
        return self._over.wait(within)

    def run(self) -> None:
        """Work until there is nothing more to do; never raises."""
        threading.Thread(target=self._mind_master, name="master", daemon=True).start()
        reason, failed = "told to go", False
        try:
            while not (self._leaving.is_set() or self._retiring.is_set()):
                self._next_trial()
        except (StudyPaused, StudyEnded, NotFound) as error:
            reason = error.detail
        except Cancelled:
            pass
        except Exception as error:  # the controller hears of it and tries another agent, later
            reason, failed = str(error) or repr(error), True
            expected = isinstance(error, TrimtabError | WorkersError | OSError)
            log.warning("agent %s ends: %s", self._order.name, error, exc_info=not expected)
        finally:
            self._drop_child()
            self._status = replace(self._status, state="ended", reason=reason, failed=failed)
            self._over.set()

    def _next_trial(self) -> None:
        lease = self._ask()
        if lease is None:
            return
        if self._leaving.is_set():
            lease.release("the agent was leaving", retry=PARTING)
            return
        self._status = replace(self._status, state="running")
        self._run(lease)
        self._status = replace(self._status, state="idle", trials=self._status.trials + 1)

    def _ask(self) -> Lease | None:
        """Ask with one lease id until there is a trial: a lost answer is so given again."""
        lease_id = new_lease_id()
        while not (self._leaving.is_set() or self._retiring.is_set()):
            try:
                answer = ask(
                    self._transport,
                    self._order.study,
                    lease_id=lease_id,
                    worker=self._order.name,
                    wait=self._order.timings.ask_wait,
                    cancel=self._leaving,
                )
            except (LeaseLost, LeaseInUse):  # it was given a trial whose answer never came
                return None
            if not isinstance(answer, Waiting):
                return answer[1]
            self._leaving.wait(answer.retry_after)
        return None

    def _run(self, lease: Lease) -> None:
        try:
            target = resolve(self._order.run, [Path(folder) for folder in self._order.code])
        except ProgramRefused as error:
            outcome = {"kind": "failed", "reason": "user_error", "message": str(error)}
            with contextlib.suppress(LeaseLost):
                lease.tell(outcome)
            return
        attempt = Attempt(
            lease,
            child=self._ready_child(target),
            inbox=self._inbox,
            timings=self._order.timings,
            max_seconds=self._order.max_seconds,
        )
        healthy = attempt.run(target, self._log_file(lease))
        if not healthy:
            self._drop_child()

    def _ready_child(self, target: Target) -> Child:
        if self._child is not None and self._child.alive:
            return self._child
        self._drop_child()
        self._inbox = queue.SimpleQueue()  # what an earlier child said is of no interest
        if self._leaving.is_set():
            self._inbox.put(Leave("the agent was leaving"))
        folder = Path(target.folder or self._order.logs)
        folder.mkdir(parents=True, exist_ok=True)
        self._child = Child(
            environment=child_environment(
                os.environ,
                url=self._order.url,
                key=self._order.key,
                code=os.pathsep.join(self._order.code),
                recipe=target.recipe,
            ),
            folder=folder,
            say=self._inbox.put,
        )
        return self._child

    def _log_file(self, lease: Lease) -> Path:
        return Path(self._order.logs) / lease.asked.trial.study_name / f"{label(lease)}.log"

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.end(self._order.timings.leave_grace)
            self._child.close()
            self._child = None

    def _mind_master(self) -> None:
        """Go when the controller has not been heard of for too long: nobody would replace us."""
        patience = self._order.timings.orphan
        while not self._over.wait(patience / 10):
            if self._clock() - self._heard > patience:
                log.warning("agent %s: the controller is gone", self._order.name)
                self.orphaned = True
                self.stop("the fleet's controller is gone", within=0)
                return
