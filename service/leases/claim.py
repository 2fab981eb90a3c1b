"""Taking a trial to run: two statements, each of which takes one or changes nothing.

Locks are taken in the order trial (or suggestion), study_counter; the rows inserted after that are
this claim's own.  Both statements commit by themselves, so that the counter, the one row that all
asks of a study share, is never held while a process is busy with something else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from search.values import Value
from service.leases.known import KnownStudy
from service.leases.rows import fetch
from service.observability.metrics import TRIALS
from service.trials.context import stored
from service.trials.identity import new_trial_id

# In lease.until: the trial's first milestone, which its number and the study's spec tell.  The
# number is not known before the statement that stores the lease has run.
FIRST = -1

# The end of both statements: `taken` is the trial, `s` its study, `marked` its milestone, `point`
# the checkpoint that it goes on from.
BEGIN = """
, began as (
  insert into attempt (trial_id, number, lease_id, worker)
  select id, attempt, %(lease)s, %(worker)s from taken
), leased as (
  insert into lease (trial_id, lease_id, attempt, worker, expires_at, until)
  select id, %(lease)s, attempt, %(worker)s,
         clock_timestamp() + make_interval(secs => %(seconds)s), marked.until
    from taken cross join marked
), logged as (
  insert into event (study_id, trial_id, kind, detail)
  select %(study)s, id, 'trial_started',
         jsonb_build_object('attempt', attempt, 'worker', %(worker)s::text)
    from taken
)
select taken.id, taken.public_id, taken.number, taken.spec_version, taken.config, taken.context,
       taken.attempt, s.name as study_name, marked.until, %(seconds)s::float8 as lease_seconds,
       point.step, point.key, point.size, point.sha256, taken.planned
  from taken cross join s cross join marked left join point on true
"""

QUEUED = """
with s as (
  select id, name, max_running from study where id = %(study)s and state = 'active'
), free as (
  select t.id from trial t join s on t.study_id = s.id
   where t.state = 'queued' and t.available_at <= clock_timestamp()
     and t.context is not distinct from %(context)s::jsonb
   order by t.priority desc, t.available_at, t.number
   limit 1 for update of t skip locked
), counted as (
  update study_counter k set running = k.running + 1, version = k.version + 1
    from s, free
   where k.study_id = s.id and (s.max_running is null or k.running < s.max_running)
  returning k.version
), taken as (
  update trial t
     set state = 'running', attempt = t.attempt + 1, last_lease_id = %(lease)s,
         changed_version = counted.version,
         started_at = coalesce(t.started_at, clock_timestamp())
    from free, counted where t.id = free.id
  returning t.id, t.public_id, t.number, t.spec_version, t.config, t.context, t.attempt,
            t.checkpoint_id, t.planned
), point as (
  select c.step, c.key, c.size, c.sha256 from checkpoint c join taken on c.id = taken.checkpoint_id
), marked as (
  -- What an earlier attempt was told at the last milestone before the checkpoint still holds;
  -- without a checkpoint the trial starts again, and so do its milestones.
  select case when d.trial_id is null then %(first)s::int
         else (d.detail->>'until')::int end as until
    from taken left join point on true left join lateral (
      select * from decision d
       where d.trial_id = taken.id and d.attempt < taken.attempt and d.step <= point.step
       order by d.step desc, d.attempt desc limit 1) d on true
)
"""
CLAIM_QUEUED = "".join((QUEUED, BEGIN))

SUGGESTED = """
with s as (
  select id, name, spec_version, max_running, budget_trials
    from study where id = %(study)s and state = 'active'
), next as (
  select g.batch, g.position, g.config, g.context, g.config_hash, g.origin, g.planned
    from suggestion g join s on g.study_id = s.id
   where g.context is not distinct from %(context)s::jsonb
   order by g.batch desc, g.position
   limit 1 for update of g skip locked
), counted as (
  update study_counter k
     set running = k.running + 1, next_number = k.next_number + 1, version = k.version + 1
    from s, next
   where k.study_id = s.id
     and (s.max_running is null or k.running < s.max_running)
     and (s.budget_trials is null or k.next_number - k.imported < s.budget_trials)
  returning k.next_number - 1 as number, k.version
), dropped as (
  delete from suggestion g using next, counted
   where g.study_id = %(study)s and g.batch = next.batch and g.position = next.position
), taken as (
  insert into trial (public_id, study_id, number, spec_version, state, config, context,
                     config_hash, origin, batch, planned, attempt, last_lease_id,
                     changed_version, started_at)
  select %(public)s, s.id, counted.number, s.spec_version, 'running', next.config, next.context,
         next.config_hash, next.origin, next.batch, next.planned, 1, %(lease)s,
         counted.version, clock_timestamp()
    from s, next, counted
  returning id, public_id, number, spec_version, config, context, attempt, planned
), marked as (
  select %(first)s::int as until
), point as (
  select null::int as step, null::text as key, null::bigint as size, null::text as sha256
)
"""
TAKE_SUGGESTION = "".join((SUGGESTED, BEGIN))

DROP_TAKEN = """
delete from suggestion g
 where g.study_id = %s and exists (
   select from trial t
    where t.study_id = g.study_id and t.config_hash = g.config_hash and not t.replicate)
"""

FIND_LEASE = """
select t.id, t.public_id, t.number, t.spec_version, t.config, t.context, l.attempt,
       s.name as study_name, l.until,
       extract(epoch from l.expires_at - clock_timestamp())::float8 as lease_seconds,
       c.step, c.key, c.size, c.sha256, t.planned
  from lease l
  join trial t on t.id = l.trial_id
  join study s on s.id = t.study_id
  left join checkpoint c on c.id = t.checkpoint_id and c.attempt < l.attempt
 where l.lease_id = %(lease)s and t.study_id = %(study)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a worker asks."""

    lease_id: UUID
    worker: str
    wait: float  # seconds
    context: Mapping[str, Value] = field(default_factory=dict)  # checked


@dataclass(frozen=True, slots=True)
class Claimed:
    """A trial and the lease on it."""

    id: int
    public_id: str
    number: int
    spec_version: int
    config: dict[str, Any]
    context: dict[str, Any] | None
    attempt: int
    study_name: str
    until: int | None
    lease_seconds: float
    step: int | None  # of the checkpoint to go on from, like the three below
    key: str | None
    size: int | None
    sha256: str | None
    planned: int | None  # the step up to which the trial is to run; None: a full run


async def claim_queued(
    connection: AsyncConnection[Any], study: KnownStudy, wish: Wish
) -> Claimed | None:
    """Take the next queued trial of the context, if the study is active and may run one more.

    Raises psycopg's UniqueViolation when the lease id has been used before.
    """
    return await _take(connection, CLAIM_QUEUED, study, wish)


async def take_suggestion(
    connection: AsyncConnection[Any], study: KnownStudy, wish: Wish
) -> Claimed | None:
    """Make a trial of the context's newest suggestion, if the study's budget has a number left.

    Raises psycopg's UniqueViolation when the lease id has been used before, or when the study
    has a trial of that config already; `drop_taken` then clears the way.
    """
    return await _take(connection, TAKE_SUGGESTION, study, wish)


async def drop_taken(connection: AsyncConnection[Any], study_id: int) -> None:
    """Delete the suggestions whose config has become a trial in some other way."""
    await connection.execute(DROP_TAKEN, (study_id,))


async def find_lease(
    connection: AsyncConnection[Any], study: KnownStudy, lease_id: UUID
) -> Claimed | None:
    """What an earlier ask with this lease id took, while its lease is held."""
    return await fetch(connection, Claimed, FIND_LEASE, {"lease": lease_id, "study": study.id})


async def _take(
    connection: AsyncConnection[Any],
    statement: str,
    study: KnownStudy,
    wish: Wish,
) -> Claimed | None:
    values = {
        "study": study.id,
        "lease": wish.lease_id,
        "worker": wish.worker,
        "context": stored(wish.context),
        "seconds": study.lease_seconds,
        "public": new_trial_id(),
        "first": FIRST,
    }
    claimed = await fetch(connection, Claimed, statement, values)
    if claimed is not None:
        TRIALS.labels("running", "claimed").inc()
    return claimed
