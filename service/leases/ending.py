"""Ending an attempt: one statement for tell, release, expiry and cancellation alike.

It compares before it sets: the trial must be in the state, and the lease be as it was when the
outcome was worked out.  Otherwise nothing changes, and the caller looks again.  It locks trial,
lease, study_counter, in this order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from search.trial import TrialState
from service.leases.rows import fetch
from service.observability.metrics import TRIALS

END = """
with t as (
  select id, study_id, attempt, state from trial
   where id = %(trial)s and state = %(from)s
     and (%(lease)s::uuid is null or last_lease_id = %(lease)s)
     for no key update
), freed as (
  delete from lease l using t
   where l.trial_id = t.id
     and (%(lease)s::uuid is null
          or (l.lease_id = %(lease)s and l.expires_at = %(seen)s
              and l.request is not distinct from %(request)s))
  returning l.trial_id
), due as (
  select t.* from t where t.state = 'queued' or exists (select from freed)
), counted as (
  update study_counter k
     set running = k.running - (due.state = 'running')::int,
         finished = k.finished + %(final)s::int, failed = k.failed + (%(state)s = 'failed')::int,
         version = k.version + 1
    from due where k.study_id = due.study_id
  returning k.study_id, k.next_number, k.finished, k.failed, k.imported, k.version
), ended as (
  update trial
     set state = %(state)s, reason = %(reason)s, message = %(message)s,
         values = coalesce(%(values)s, trial.values), objective = %(objective)s,
         errors = coalesce(%(errors)s, trial.errors),
         gradients = coalesce(%(gradients)s, trial.gradients),
         told_by = %(told_by)s, tell_hash = %(tell_hash)s, lost = trial.lost + %(lost)s,
         last_lease_id = case when %(forget)s then null else trial.last_lease_id end,
         priority = case when %(final)s then trial.priority else 10 end,
         available_at = case when %(final)s then trial.available_at
                        else clock_timestamp() + make_interval(secs => %(delay)s) end,
         finished_at = case when %(final)s then clock_timestamp() end,
         changed_version = counted.version
    from due, counted where trial.id = due.id
), closed as (
  update attempt a
     set ended_at = clock_timestamp(), end_reason = %(end_reason)s, exit = %(exit)s,
         log_tail = %(log_tail)s
    from due where a.trial_id = due.id and a.number = due.attempt
     and (due.state = 'running' or %(told_by)s::uuid is not null)
), dropped as (
  -- A later attempt that ended earlier: what an earlier one measured beyond it never happened.
  delete from metric m using due
   where m.trial_id = due.id and m.attempt < due.attempt and m.step > %(reach)s
), logged as (
  insert into event (study_id, trial_id, kind, detail)
  select study_id, id, %(kind)s,
         %(detail)s::jsonb || case when attempt > 0 then jsonb_build_object('attempt', attempt)
                              else '{}' end
    from due
)
select counted.study_id, counted.next_number, counted.finished, counted.failed, counted.imported,
       s.budget_target, s.max_failed
  from counted join study s on s.id = counted.study_id
"""

KINDS: Mapping[TrialState, str] = {
    TrialState.QUEUED: "trial_requeued",
    TrialState.COMPLETED: "trial_completed",
    TrialState.STOPPED: "trial_stopped",
    TrialState.INFEASIBLE: "trial_infeasible",
    TrialState.FAILED: "trial_failed",
    TrialState.CANCELLED: "trial_cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A trial and its lease as they were when the outcome was worked out.

    Without a lease id whoever holds the lease loses it.
    """

    trial_id: int
    state: TrialState
    lease_id: UUID | None = None
    expires_at: datetime | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What becomes of a trial and of the attempt that ends."""

    state: TrialState
    end_reason: str  # of the attempt: told, released, lost, cancelled
    reason: str | None = None
    message: str | None = None
    values: Mapping[str, float | str] | None = None  # None: as they were
    objective: float | None = None
    errors: Mapping[str, float] | None = None  # None: as they were
    gradients: Mapping[str, float] | None = None  # None: as they were
    told_by: UUID | None = None
    tell_hash: bytes | None = None
    exit: str | None = None
    log_tail: str | None = None
    reach: int | None = None  # the attempt's last step; None: drop nothing
    lost: bool = False
    delay: float = 0.0  # seconds until it may be taken again
    forget: bool = False  # no late tell of this lease is welcome
    detail: Mapping[str, Any] = field(default_factory=dict)  # for the log


@dataclass(frozen=True, slots=True)
class Count:
    """The study's counters right after an ending, and the limits they are held against."""

    study_id: int
    next_number: int
    finished: int
    failed: int
    imported: int
    budget_target: float | None
    max_failed: int


async def end(connection: AsyncConnection[Any], seen: Seen, ending: Ending) -> Count | None:
    """Carry the ending out; None when something has changed since, and nothing was done."""
    values = {
        "trial": seen.trial_id,
        "from": seen.state.value,
        "lease": seen.lease_id,
        "seen": seen.expires_at,
        "request": seen.request,
        "final": ending.state.final,
        "state": ending.state.value,
        "reason": ending.reason,
        "message": ending.message,
        "values": None if ending.values is None else Jsonb(dict(ending.values)),
        "objective": ending.objective,
        "errors": Jsonb(dict(ending.errors)) if ending.errors else None,
        "gradients": Jsonb(dict(ending.gradients)) if ending.gradients else None,
        "told_by": ending.told_by,
        "tell_hash": ending.tell_hash,
        "lost": int(ending.lost),
        "forget": ending.forget,
        "delay": ending.delay,
        "end_reason": ending.end_reason,
        "exit": ending.exit,
        "log_tail": ending.log_tail,
        "reach": ending.reach,
        "kind": KINDS[ending.state],
        "detail": Jsonb(_without_nulls({"reason": ending.reason, **ending.detail})),
    }
    count = await fetch(connection, Count, END, values)
    if count is not None:
        TRIALS.labels(ending.state.value, ending.end_reason).inc()
    return count


def _without_nulls(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if value is not None}
