"""The rows of insights: asked for, worked out by one suggester at a time, read.

What is worked out is a pure function of the study's results, so that a row is good until there are
new ones.  Any number of suggesters may look for work; a lease keeps them from doing it twice.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from search.values import JSON
from service.db.rows import fetch_one

Kind: TypeAlias = Literal["explanation", "best"]

# What is kept up to date by itself may take a tenth of the time: it rests nine times as long as it
# took.
REST = 9

# Results: trials that have ended, and answers of people.
RESULTS = """
(select k.finished + (select count(*) from preference p where p.study_id = k.study_id)::int)
"""
# Only what is newly wanted is worth waking a suggester for.
WANT = f"""
with now as (select {RESULTS} as finished from study_counter k where study_id = %(study)s
), made as (
  insert into insight as i (study_id, kind, metric, wanted)
  select %(study)s, 'explanation', %(metric)s, finished from now
  on conflict (study_id, kind, metric) do update set wanted = excluded.wanted
   where i.wanted < excluded.wanted
  returning 1
)
select pg_notify('demand', %(study)s::text) from made
"""  # noqa: S608  (made of constants)
KEEP = """
insert into insight (study_id, kind, metric) values (%(study)s, 'best', %(metric)s)
"""
READ = f"""
select i.body, i.seen, i.seconds, i.computed_at, {RESULTS} as finished
  from study_counter k
  left join insight i on i.study_id = k.study_id and i.kind = %(kind)s and i.metric = %(metric)s
 where k.study_id = %(study)s
"""  # noqa: S608  (made of constants)
# Whoever waits comes before what nobody waits for.
CLAIM = f"""
with due as (
  select i.study_id, i.kind, i.metric, s.spec_version
    from insight i
    join study s on s.id = i.study_id and s.deleted_at is null
    join study_counter k on k.study_id = i.study_id
   where (i.expires_at is null or i.expires_at < clock_timestamp())
     and case i.kind
         when 'best' then k.finished > coalesce(i.seen, 0) and (i.seconds is null
              or i.computed_at + make_interval(secs => {REST} * i.seconds) <= clock_timestamp())
         else i.wanted > coalesce(i.seen, -1) end
   order by i.kind = 'best', i.computed_at nulls first
   limit 1 for update of i skip locked
)
update insight i
   set lease_id = %(lease)s, expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
  from due where (i.study_id, i.kind, i.metric) = (due.study_id, due.kind, due.metric)
returning i.study_id, i.kind, i.metric, due.spec_version
"""  # noqa: S608  (made of constants)
OURS = """
 where study_id = %(study)s and kind = %(kind)s and metric = %(metric)s and lease_id = %(lease)s
"""
RENEW = f"""
update insight set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s) {OURS}
"""  # noqa: S608
FINISH = f"""
update insight set body = %(body)s, seen = %(seen)s, seconds = %(seconds)s,
       computed_at = clock_timestamp(), lease_id = null, expires_at = null {OURS}
"""  # noqa: S608
GIVE_UP = f"update insight set lease_id = null, expires_at = null {OURS}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Work:
    """The right to work out one insight."""

    study_id: int
    kind: Kind
    metric: str
    spec_version: int
    lease_id: UUID

    @property
    def key(self) -> dict[str, Any]:
        """What every fenced statement names."""
        return {
            "study": self.study_id,
            "kind": self.kind,
            "metric": self.metric,
            "lease": self.lease_id,
        }


@dataclass(frozen=True, slots=True)
class Insight:
    """How an insight stands; `finished` is how many results there are by now."""

    body: Any
    seen: int | None
    seconds: float | None
    computed_at: datetime | None
    finished: int


async def want(connection: AsyncConnection[Any], study_id: int, metric: str) -> None:
    """Ask for an explanation that has seen all results of this moment.  A repeat does nothing."""
    await connection.execute(WANT, {"study": study_id, "metric": metric})


async def keep_best(connection: AsyncConnection[Any], study_id: int, metric: str) -> None:
    """Have the best trial of a noisy objective kept up to date from now on."""
    await connection.execute(KEEP, {"study": study_id, "metric": metric})


async def read(
    connection: AsyncConnection[Any], study_id: int, kind: Kind, metric: str
) -> Insight | None:
    """The insight as it stands; None when the study is gone."""
    values = {"study": study_id, "kind": kind, "metric": metric}
    row = await fetch_one(connection, READ, values)
    return None if row is None else Insight(**row)


async def claim(connection: AsyncConnection[Any], *, seconds: float) -> Work | None:
    """Take something to work out, for as many seconds; None when there is nothing to do."""
    lease = uuid4()
    row = await fetch_one(connection, CLAIM, {"lease": lease, "seconds": seconds})
    return None if row is None else Work(**row, lease_id=lease)


async def renew(connection: AsyncConnection[Any], work: Work, *, seconds: float) -> None:
    """Keep it for as many seconds from now."""
    await connection.execute(RENEW, {**work.key, "seconds": seconds})


async def finish(
    connection: AsyncConnection[Any], work: Work, body: JSON, *, seen: int, seconds: float
) -> bool:
    """Store what was worked out; False when it is somebody else's by now."""
    values = {"body": None if body is None else Jsonb(body), "seen": seen, "seconds": seconds}
    return (await connection.execute(FINISH, {**work.key, **values})).rowcount == 1


async def give_up(connection: AsyncConnection[Any], work: Work) -> None:
    """Let another suggester have it at once."""
    await connection.execute(GIVE_UP, work.key)
