"""report: store measurements, renew the lease, and let the scheduler judge at milestones.

One statement stores a report and says how the trial stands at a milestone that it reaches; the
decision is one more.  Each commits by itself: a report that is cut off half-way is made whole by
its repeat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.leases.fence import Call, lost
from service.leases.metrics import Measured, Points, check_room, metric_ids, rows_of
from service.leases.milestones import judge, latest, milestone
from service.leases.placing import PLACE, Judged, Milestone, Placed, place_values
from service.leases.rows import fetch
from service.studies.spec import Spec

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
  returning m.metric_id, m.step, m.value
)
"""
STORED = "select attempt, until, request, request_reason, (select count(*) from stored) from l"
STORE_ONLY = "".join((STORE, STORED))

# Where this process knows the milestone that the report reaches, how the trial stands there comes
# with the same statement.  Only a point that was stored just now says it: others may differ.
MINE = """
, mine as (
  select l.attempt, stored.value from l, stored
   where stored.metric_id = %(metric)s and stored.step = %(first)s
     and l.until is not distinct from %(stored)s
)
"""
PLACED = """
select l.attempt, l.until, l.request, l.request_reason, (select count(*) from stored),
       placed.loss, numbers, losses
  from l cross join gathered left join placed on true
"""
STORE_AND_PLACE = "".join((STORE, MINE, PLACE, PLACED))

# Run after STORE has committed: its own snapshot sees what STORE met.
COMPARE = """
select count(*) filter (where m.value = p.value)
  from unnest(%(metrics)s::int2[], %(steps)s::int4[], %(values)s::float8[])
       as p (metric_id, step, value)
  join metric m on m.trial_id = %(trial)s and m.metric_id = p.metric_id and m.step = p.step
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """The lease after a report, how many points were new, and how the trial stands, if asked."""

    attempt: int
    until: int | None
    request: str | None
    request_reason: str | None
    stored: int
    loss: float | None = None
    numbers: list[int] | None = None
    losses: list[float] | None = None

    @property
    def placed(self) -> Placed | None:
        """How the trial stands at the milestone that it was expected to reach."""
        if self.loss is None:
            return None
        return Placed(self.attempt, self.loss, self.numbers, self.losses)


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
    spec = await call.known.spec(call.connection, call.trial.study.id, call.trial.spec_version)
    ids = await metric_ids(call, dict.fromkeys(name for m in measurements for name in m.values))
    points = rows_of(measurements, ids)
    last_step = max(points.steps)
    await check_room(call, points=len(points), last_step=last_step)
    judged_steps = _judged_steps(spec, measurements)
    stored = await _store(call, spec, points, ids, judged_steps)
    new = stored.stored == len(points)
    decision = await _judge(call, spec, ids, stored, judged_steps)
    if decision is None and not new:
        decision = await latest(call, attempt=stored.attempt, step=last_step)
    call.known.until.put(call.trial.id, stored.until if decision is None else decision.until)
    if decision is None:
        decision = _between(call, spec, stored)
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


def _judged_steps(spec: Spec, measurements: Sequence[Measured]) -> list[int]:
    """The steps that carry the metric by which trials are judged, in order."""
    metric = spec.problem.objectives[0].metric
    return sorted(m.step for m in measurements if metric in m.values)


async def _store(
    call: Call, spec: Spec, points: Points, ids: Mapping[str, int], judged_steps: Sequence[int]
) -> Stored:
    values = {
        **call.key,
        "seconds": call.trial.study.lease_seconds,
        "last": max(points.steps),
        "metrics": points.metric_ids,
        "steps": points.steps,
        "values": points.values,
        "elapsed": points.elapsed,
    }
    statement = STORE_ONLY
    expected = _expected(call, spec, ids, judged_steps)
    if expected is not None:
        place, first = expected
        statement = STORE_AND_PLACE
        values |= {**place_values(call, spec, place), "first": first}
    stored = await fetch(call.connection, Stored, statement, values, binary=True)
    if stored is None:
        raise lost(call.trial)
    return stored


def _expected(
    call: Call, spec: Spec, ids: Mapping[str, int], judged_steps: Sequence[int]
) -> tuple[Milestone, int] | None:
    """The milestone that the report should reach, as far as this process knows, and by which step.

    What it knows may be old: the statement checks it.
    """
    objective, known = spec.problem.objectives[0], call.known.until.get(call.trial.id)
    until = milestone(known, spec, call.trial)
    if until is None or objective.read != "last":
        return None
    first = next((step for step in judged_steps if step >= until), None)
    if first is None:
        return None
    return Milestone(stored=known, step=until, metric_id=ids[objective.metric]), first


async def _judge(
    call: Call,
    spec: Spec,
    ids: Mapping[str, int],
    stored: Stored,
    judged_steps: Sequence[int],
) -> Judged | None:
    """What the scheduler decides at the milestones that the report has reached, if any."""
    until = milestone(stored.until, spec, call.trial)
    if until is None or not judged_steps or judged_steps[-1] < until:
        return None
    metric_id = ids[spec.problem.objectives[0].metric]
    first = Milestone(stored=stored.until, step=until, metric_id=metric_id)
    last_step = judged_steps[-1]
    judged = await judge(call, spec, first, last_step=last_step, placed=stored.placed)
    # None: another report of the same attempt has decided first, and what it was told holds.
    return judged or await latest(call, attempt=stored.attempt, step=last_step)


def _between(call: Call, spec: Spec, stored: Stored) -> Judged:
    """What holds between milestones."""
    if stored.request == "stop":
        return Judged(kind="stop", until=None, reason=stored.request_reason)
    until = milestone(stored.until, spec, call.trial)
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
