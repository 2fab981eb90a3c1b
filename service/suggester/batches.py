"""A batch from claim to commit.  Whoever has lost its lease on it writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from search.searcher import Memo
from search.values import JSON, Config
from service.suggester.survey import KEPT_CONTEXTS, LATEST_TRIALS
from service.trials.context import stored
from service.trials.identity import config_hash

# Unique: one batch of a study runs at a time.
BEGIN = """
insert into batch (study_id, number, state, lease_id, expires_at, count, context, budget)
select %(study)s, coalesce(max(number) + 1, 0), 'running', %(lease)s,
       clock_timestamp() + make_interval(secs => %(seconds)s), %(count)s, %(context)s::jsonb,
       %(budget)s
  from batch where study_id = %(study)s
on conflict do nothing
returning number
"""
# A batch whose suggester is gone is computed again under its own number: the same random numbers,
# with the context that is wanted and the budget that stands now.
TAKE_OVER = """
update batch
   set lease_id = %(lease)s, count = %(count)s, context = %(context)s, budget = %(budget)s,
       attempt = attempt + 1,
       expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
 where study_id = %(study)s and state = 'running' and expires_at < clock_timestamp()
returning number
"""
RENEW = """
update batch set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
 where study_id = %(study)s and number = %(number)s and lease_id = %(lease)s
   and state = 'running'
"""
LAST_MEMO = """
select memo, error from batch
 where study_id = %s and state = 'done' order by number desc limit 1
"""
BUFFER = """
select config from suggestion
 where study_id = %(study)s and context is not distinct from %(context)s::jsonb
 order by batch desc, position
"""
HOLD = """
select 1 from batch
 where study_id = %(study)s and number = %(number)s and lease_id = %(lease)s
   and state = 'running' for update
"""
INSERT = """
insert into suggestion (study_id, batch, position, config, config_hash, origin, planned, seen,
                        context)
select %(study)s, %(number)s,
       coalesce((select max(position) + 1 from suggestion
                  where study_id = %(study)s and batch = %(number)s), 0) + (n.place - 1)::int,
       n.config, n.hash, n.origin, n.planned, %(seen)s, %(context)s
  from unnest(%(configs)s::jsonb[], %(hashes)s::bytea[], %(origins)s::jsonb[], %(planned)s::int[])
       with ordinality as n (config, hash, origin, planned, place)
 where not exists (
   select from trial t
    where t.study_id = %(study)s and t.config_hash = n.hash and not t.replicate)
on conflict do nothing
"""
SUPERSEDE = """
delete from suggestion where study_id = %(study)s and (batch, position) in (
  select batch, position from suggestion
   where study_id = %(study)s and config_hash = any(%(hashes)s) for update skip locked)
"""
# What was made ahead for contexts that nobody asks in any more: they would get it as old as it is.
FORGET = f"""
delete from suggestion where study_id = %(study)s and (batch, position) in (
  select g.batch, g.position from suggestion g
   where g.study_id = %(study)s and g.context is distinct from %(context)s::jsonb
     and not exists (
       select from demand d where d.study_id = g.study_id and d.context = g.context
          and d.expires_at > clock_timestamp())
     and g.context not in (
       select t.context from (
         select context, number from trial where study_id = %(study)s
          order by number desc limit {LATEST_TRIALS}) t
        group by t.context order by max(t.number) desc limit {KEPT_CONTEXTS})
     for update skip locked)
"""  # noqa: S608  (made of constants)
FINISH = """
update batch
   set state = 'done', finished_at = clock_timestamp(), watermark = %(watermark)s,
       pending = %(pending)s, memo = %(memo)s, exhausted = %(exhausted)s, error = %(error)s,
       seconds = %(seconds)s, seen = %(seen)s, expected_gain = %(expected_gain)s
 where study_id = %(study)s and number = %(number)s and lease_id = %(lease)s
   and state = 'running'
returning pg_notify('ready', %(study)s::text)
"""
NOTIFY = "select pg_notify('ready', %s)"
GIVE_UP = """
update batch set expires_at = clock_timestamp()
 where study_id = %(study)s and number = %(number)s and lease_id = %(lease)s
   and state = 'running'
"""


@dataclass(frozen=True, slots=True)
class BatchLease:
    """The right to compute one batch of a study."""

    study_id: int
    number: int
    lease_id: UUID

    @property
    def key(self) -> dict[str, Any]:
        """What every fenced statement names."""
        return {"study": self.study_id, "number": self.number, "lease": self.lease_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What a batch begins with besides the trials."""

    memo: Memo | None
    error: str | None  # of the batch before
    buffer: Sequence[Config]  # of the context, in the order in which asks take them


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A suggestion on its way into the buffer."""

    config: Config
    origin: Mapping[str, JSON]
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A batch as it was computed, with the inputs that tell how."""

    proposals: Sequence[Proposal]
    superseded: Sequence[Config]
    seen: int
    watermark: int
    pending: Sequence[Config]
    memo: Memo | None
    exhausted: str | None
    error: str | None
    seconds: float
    context: Config = field(default_factory=dict)

    @property
    def expected_gain(self) -> float | None:
        """The largest that a suggestion promises; None if none of them does."""
        told = [proposal.origin.get("expected_gain") for proposal in self.proposals]
        return max((float(gain) for gain in told if isinstance(gain, int | float)), default=None)


async def begin(
    connection: AsyncConnection[Any],
    study_id: int,
    *,
    count: int,
    seconds: float,
    context: Config | None = None,
    budget: int | None = None,
) -> BatchLease | None:
    """Claim the study's next batch, or one that was left behind; None while somebody has it."""
    lease = uuid4()
    values = {
        "study": study_id,
        "lease": lease,
        "seconds": seconds,
        "count": count,
        "context": stored(context or {}),
        "budget": budget,
    }
    for statement in (TAKE_OVER, BEGIN):
        row = await (await connection.execute(statement, values)).fetchone()
        if row is not None:
            return BatchLease(study_id, row[0], lease)
    return None


async def renew(connection: AsyncConnection[Any], lease: BatchLease, *, seconds: float) -> bool:
    """Keep the batch; False when it is somebody else's now."""
    done = await connection.execute(RENEW, {**lease.key, "seconds": seconds})
    return done.rowcount == 1


async def give_up(connection: AsyncConnection[Any], lease: BatchLease) -> None:
    """Let another suggester have the batch at once."""
    await connection.execute(GIVE_UP, lease.key)


async def read_before(
    connection: AsyncConnection[Any], study_id: int, context: Config | None = None
) -> Before:
    """The memo of the batch before, and the context's buffer as it is."""
    row = await (await connection.execute(LAST_MEMO, (study_id,))).fetchone()
    memo = None
    if row is not None and row[0] is not None:
        memo = Memo(version=row[0]["version"], data=row[0]["data"])
    values = {"study": study_id, "context": stored(context or {})}
    rows = await (await connection.execute(BUFFER, values)).fetchall()
    return Before(
        memo=memo, error=None if row is None else row[1], buffer=[config for (config,) in rows]
    )


async def put(
    connection: AsyncConnection[Any],
    lease: BatchLease,
    proposals: Sequence[Proposal],
    seen: int,
    context: Config | None = None,
) -> bool:
    """Add suggestions to the batch while it is still computed; False when it is lost."""
    async with connection.transaction():
        held = await connection.execute(HOLD, lease.key)
        if await held.fetchone() is None:
            return False
        await _insert(connection, lease, proposals, seen, context or {})
        await connection.execute(NOTIFY, (str(lease.study_id),))
        return True


async def finish(connection: AsyncConnection[Any], lease: BatchLease, made: Made) -> bool:
    """Commit the batch in the caller's transaction; False when it is lost: roll back.

    Locks batch, then suggestions, as everybody does.
    """
    memo = None if made.memo is None else {"version": made.memo.version, "data": made.memo.data}
    values = {
        **lease.key,
        "watermark": made.watermark,
        "pending": Jsonb([dict(config) for config in made.pending]),
        "memo": None if memo is None else Jsonb(memo),
        "exhausted": made.exhausted,
        "error": made.error,
        "seconds": made.seconds,
        "seen": made.seen,
        "expected_gain": made.expected_gain,
    }
    if (await connection.execute(FINISH, values)).rowcount != 1:
        return False
    if made.superseded:
        hashes = [config_hash(config, made.context) for config in made.superseded]
        await connection.execute(SUPERSEDE, {"study": lease.study_id, "hashes": hashes})
    if made.context:
        values = {"study": lease.study_id, "context": stored(made.context)}
        await connection.execute(FORGET, values)
    await _insert(connection, lease, made.proposals, made.seen, made.context)
    return True


async def _insert(
    connection: AsyncConnection[Any],
    lease: BatchLease,
    proposals: Sequence[Proposal],
    seen: int,
    context: Config,
) -> None:
    if not proposals:
        return
    values = {
        "study": lease.study_id,
        "number": lease.number,
        "seen": seen,
        "configs": [Jsonb(dict(proposal.config)) for proposal in proposals],
        "context": stored(context),
        "hashes": [config_hash(proposal.config, context) for proposal in proposals],
        "origins": [Jsonb({**proposal.origin, "seen": seen}) for proposal in proposals],
        "planned": [proposal.until for proposal in proposals],
    }
    await connection.execute(INSERT, values)
