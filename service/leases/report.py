"""report: store measurements, renew the lease, and let the scheduler judge at milestones.

One statement stores a report that reaches no milestone; a milestone costs two more.  Each commits
by itself: a report that is cut off half-way is made whole by its repeat.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from service.leases.fence import Call, lost
from service.leases.metrics import Measured, Points, check_room, metric_ids, rows_of
from service.leases.milestones import Judged, judge, latest, milestone

# Within an attempt the first value of a (metric, step) stays; a later attempt overwrites.
STORE = """
with l as (
  update lease
     set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s),
         last_step = greatest(last_step, %(last)s)
   where trial_id = %(trial)s and lease_id = %(lease)s
  returning trial_id, attempt, until, request, request_reason
), stored as (
  insert into metric as m (trial_id, metric_id, step, attempt, value, elapsed)
  select l.trial_id, p.metric_id, p.step, l.attempt, p.value, p.elapsed
    from l, unnest(%(metrics)s::int2[], %(steps)s::int4[], %(values)s::float8[],
                   %(elapsed)s::float8[]) as p (metric_id, step, value, elapsed)
  on conflict (trial_id, metric_id, step) do update
     set value = excluded.value, attempt = excluded.attempt, elapsed = excluded.elapsed
   where m.attempt < excluded.attempt
  returning m.metric_id, m.step
)
select l.attempt, l.until, l.request, l.request_reason, (select count(*) from stored) as stored
  from l
"""

# Run after STORE has committed: its own snapshot sees what STORE met.
COMPARE = """
select count(*) filter (where m.value = p.value)
  from unnest(%(metrics)s::int2[], %(steps)s::int4[], %(values)s::float8[])
       as p (metric_id, step, value)
  join metric m on m.trial_id = %(trial)s and m.metric_id = p.metric_id and m.step = p.step
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """The lease after a report, and how many points were new."""

    attempt: int
    until: int | None
    request: str | None
    request_reason: str | None
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a report's points, and what the worker is to do."""

    accepted: int
    already: int
    conflicting: int
    decision: Judged
    request: str | None
    request_reason: str | None


async def report(call: Call, measurements: Sequence[Measured]) -> Receipt:
    """Store the measurements; a repeat stores nothing and gets the first decision again.

    Raises LeaseLost, and LimitExceeded for too many metrics or points; either stores nothing.
    """
    ids = await metric_ids(call, dict.fromkeys(name for m in measurements for name in m.values))
    points = rows_of(measurements, ids)
    last_step = max(points.steps)
    await check_room(call, points=len(points), last_step=last_step)
    stored = await _store(call, points, last_step)
    new = stored.stored == len(points)
    decision = await _judge(call, measurements, ids, stored)
    if decision is None and not new:
        decision = await latest(call, attempt=stored.attempt, step=last_step)
    if decision is None:
        decision = await _standing_decision(call, stored)
    already = 0 if new else await _compare(call, points, stored.stored)
    stopping = decision.kind == "stop" and stored.request is None
    return Receipt(
        accepted=stored.stored,
        already=already + points.repeated,
        conflicting=len(points) - stored.stored - already + points.conflicting,
        decision=decision,
        request="stop" if stopping else stored.request,
        request_reason=decision.reason if stopping else stored.request_reason,
    )


async def _store(call: Call, points: Points, last_step: int) -> Stored:
    values = {
        **call.key,
        "seconds": call.trial.study.lease_seconds,
        "last": last_step,
        "metrics": points.metric_ids,
        "steps": points.steps,
        "values": points.values,
        "elapsed": points.elapsed,
    }
    async with call.connection.cursor(row_factory=class_row(Stored)) as cursor:
        await cursor.execute(STORE, values, prepare=True)
        stored = await cursor.fetchone()
    if stored is None:
        raise lost(call.trial)
    return stored


async def _judge(
    call: Call, measurements: Sequence[Measured], ids: dict[str, int], stored: Stored
) -> Judged | None:
    """What the scheduler decides at the milestones that the report has reached, if any."""
    spec = await call.known.spec(call.connection, call.trial.study.id, call.trial.spec_version)
    metric = spec.problem.objectives[0].metric
    last_step = max((m.step for m in measurements if metric in m.values), default=-1)
    until = milestone(stored.until, spec, call.trial.number)
    if until is None or until > last_step:
        return None
    judged = await judge(call, spec, ids[metric], stored=stored.until, last_step=last_step)
    # None: another report of the same attempt has decided first, and what it was told holds.
    return judged or await latest(call, attempt=stored.attempt, step=last_step)


async def _standing_decision(call: Call, stored: Stored) -> Judged:
    """What holds between milestones."""
    if stored.request == "stop":
        return Judged(kind="stop", until=None, reason=stored.request_reason)
    spec = await call.known.spec(call.connection, call.trial.study.id, call.trial.spec_version)
    until = milestone(stored.until, spec, call.trial.number)
    return Judged(kind="continue", until=until, reason=None)


async def _compare(call: Call, points: Points, stored: int) -> int:
    """How many of the points were there before with the same value."""
    values = {
        "trial": call.trial.id,
        "metrics": points.metric_ids,
        "steps": points.steps,
        "values": points.values,
    }
    row = await (await call.connection.execute(COMPARE, values)).fetchone()
    assert row is not None
    return max(0, int(row[0]) - stored)
