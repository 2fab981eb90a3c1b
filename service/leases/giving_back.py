"""release and expiry: an attempt that ends without a tell, and what becomes of its trial."""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from search.problem import Problem
from search.trial import TrialState
from service.leases.consequences import follow
from service.leases.ending import Ending, Seen, end
from service.leases.fence import Call, lost
from service.leases.known import Known
from service.leases.results import Result, read_progress, result_of
from service.leases.rows import fetch
from service.schemas.trials import Release, Stopped
from service.trials.lifecycle import Aftermath, Loss, after_expiry, after_release

# No progress: since another worker was lost on it, the trial has neither a point nor a checkpoint.
READ_LOSS = """
select t.id as trial_id, l.lease_id, l.expires_at, l.request, l.worker, t.attempt, t.lost,
       t.spec_version, t.study_id, s.max_attempts, s.state as study_state,
       (select a.worker from attempt a
         where a.trial_id = t.id and a.number < t.attempt and a.end_reason = 'lost'
           and a.worker <> l.worker
           and not exists (
             select from metric m where m.trial_id = t.id and m.attempt >= a.number)
           and not exists (
             select from checkpoint c
              where c.trial_id = t.id and c.attempt >= a.number and c.committed_at is not null)
         order by a.number desc limit 1) as poisoned
  from lease l join trial t on t.id = l.trial_id join study s on s.id = t.study_id
 where l.trial_id = %(trial)s and l.lease_id = %(lease)s
"""


@dataclass(frozen=True, slots=True)
class Losing:
    """A lease that is about to end without a tell."""

    trial_id: int
    lease_id: UUID
    expires_at: datetime
    request: str | None
    worker: str
    attempt: int
    lost: int
    spec_version: int
    study_id: int
    max_attempts: int
    study_state: str
    poisoned: str | None  # another worker that was lost with no progress since

    @property
    def loss(self) -> Loss:
        """What decides about the trial."""
        return Loss(
            attempt=self.attempt,
            lost=self.lost,
            max_attempts=self.max_attempts,
            request=self.request,
            study_state=self.study_state,
            poison=self.poisoned is not None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWords:
    """How the attempt ended, as far as anybody could say."""

    end_reason: str
    detail: dict[str, Any]
    exit: str | None = None
    log_tail: str | None = None


async def release(call: Call, body: Release) -> TrialState:
    """Give the trial back; returns what became of it.  Raises LeaseLost."""
    spec = await call.known.spec(call.connection, call.trial.study.id, call.trial.spec_version)
    while True:
        losing = await read_losing(call.connection, call.trial.id, call.lease_id)
        if losing is None:
            raise lost(call.trial)
        words = LastWords(
            end_reason="released",
            detail={"because": body.reason, "worker": losing.worker},
            exit=body.exit,
            log_tail=body.log_tail,
        )
        after = after_release(losing.loss)
        if await _give_up(call.connection, spec.problem, losing, words, after):
            return after.state


async def expire(
    connection: AsyncConnection[Any], known: Known, trial_id: int, lease_id: UUID, seen: datetime
) -> TrialState | None:
    """End an attempt whose lease was seen to have run out at `seen`.

    Returns what became of the trial; None when the lease was renewed or ended since.
    """
    losing = await read_losing(connection, trial_id, lease_id)
    if losing is None or losing.expires_at != seen:
        return None
    spec = await known.spec(connection, losing.study_id, losing.spec_version)
    after = after_expiry(losing.loss)
    detail: dict[str, Any] = {"because": "the lease ran out", "worker": losing.worker}
    if after.reason == "poison":
        detail["other_worker"] = losing.poisoned
    words = LastWords(end_reason="lost", detail=detail)
    ended = await _give_up(connection, spec.problem, losing, words, after)
    return after.state if ended else None


async def read_losing(
    connection: AsyncConnection[Any], trial_id: int, lease_id: UUID
) -> Losing | None:
    """The lease and its trial; None when the lease is no longer the trial's."""
    values = {"trial": trial_id, "lease": lease_id}
    return await fetch(connection, Losing, READ_LOSS, values)


async def _give_up(
    connection: AsyncConnection[Any],
    problem: Problem,
    losing: Losing,
    words: LastWords,
    after: Aftermath,
) -> bool:
    """Carry it out; False when the lease has changed since it was read."""
    result, reach = None, None
    if after.state is TrialState.STOPPED:  # its measurements count
        result, reach = await _measured(connection, problem, losing)
    seen = Seen(
        trial_id=losing.trial_id,
        state=TrialState.RUNNING,
        lease_id=losing.lease_id,
        expires_at=losing.expires_at,
        request=losing.request,
    )
    count = await end(connection, seen, _ending(words, after, result, reach))
    if count is None:
        return False
    if after.state.final:
        await follow(connection, problem, result, count, state=after.state)
    return True


def _ending(words: LastWords, after: Aftermath, result: Result | None, reach: int | None) -> Ending:
    return Ending(
        state=after.state,
        end_reason=words.end_reason,
        reason=after.reason,
        message=after.message,
        values=None if result is None else result.wire_values(),
        objective=None if result is None else result.objective,
        exit=words.exit,
        log_tail=words.log_tail,
        reach=reach,
        lost=after.counts_as_lost,
        delay=after.delay * (0.5 + random.random()),
        forget=words.end_reason == "released",
        detail=words.detail,
    )


async def _measured(
    connection: AsyncConnection[Any], problem: Problem, losing: Losing
) -> tuple[Result | None, int | None]:
    progress = await read_progress(connection, problem, losing.trial_id, losing.lease_id)
    if progress is None:
        return None, None
    measured = dict(zip(progress.names, progress.measured, strict=True))
    return result_of(problem, Stopped(), measured, progress.config), progress.reach
