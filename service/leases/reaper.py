"""The reaper: takes trials back from workers that are no longer heard of.

Every replica of the API runs one; any number of them may.  After an outage of our own, in which
workers could not renew anything, each lease is spared for its own length.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import psycopg

from service.background import beside
from service.db.engine import HotPool
from service.leases.giving_back import expire
from service.leases.known import Known
from service.observability.logs import log, where
from service.resources import Resources
from service.studies.completion import complete_if_done

AT_ONCE = 100  # leases in one round; a full round is followed by the next at once
OUTAGE_TICKS = 2.0  # a pulse that misses this many beats means that we were away

# One row, beaten by every replica: while any of them is up, so is the service.
BEAT = """
insert into liveness as v (id, last_ok, up_since)
values (1, clock_timestamp(), clock_timestamp())
on conflict (id) do update
   set up_since = case
         when clock_timestamp() - v.last_ok > make_interval(secs => %(outage)s)
         then clock_timestamp() else v.up_since end,
       last_ok = clock_timestamp()
"""
EXPIRED = """
select l.trial_id, l.lease_id, l.expires_at
  from lease l
  join trial t on t.id = l.trial_id
  join study s on s.id = t.study_id
  join liveness v on v.id = 1
 where l.expires_at < clock_timestamp()
   and v.up_since + make_interval(secs => s.lease_seconds) <= clock_timestamp()
 order by l.expires_at limit %(most)s
"""
FORGET_DEMANDS = "delete from demand where expires_at < clock_timestamp()"

# Studies whose last trial ended in a process that died before it could end the study.
UNNOTICED = """
select s.id from study s join study_counter k on k.study_id = s.id
 where s.state in ('active', 'paused') and k.finished = k.next_number
   and (k.next_number - k.imported >= s.budget_trials
        or exists (select from batch b where b.study_id = s.id and b.exhausted is not null))
 limit 50
"""


async def beat(pool: HotPool, *, outage: float) -> None:
    """Say that we are up; a silence of more than `outage` seconds before it was an outage."""
    async with pool.connection() as connection:
        await connection.execute(BEAT, {"outage": outage})


async def reap(pool: HotPool, known: Known) -> int:
    """End the attempts whose lease has run out; how many were found.  A repeat finds the rest."""
    async with pool.connection() as connection:
        cursor = await connection.execute(EXPIRED, {"most": AT_ONCE})
        rows: list[tuple[int, UUID, datetime]] = await cursor.fetchall()
    for trial_id, lease_id, seen in rows:
        async with pool.connection() as connection:
            await expire(connection, known, trial_id, lease_id, seen)
    return len(rows)


async def tidy(pool: HotPool) -> None:
    """Forget demands that nobody waits for, and complete studies whose end went unnoticed."""
    async with pool.connection() as connection:
        await connection.execute(FORGET_DEMANDS)
        rows = await (await connection.execute(UNNOTICED)).fetchall()
    for (study_id,) in rows:
        async with pool.connection() as connection, connection.transaction():
            await complete_if_done(connection, study_id)


async def run(resources: Resources) -> None:
    """Beat and reap until cancelled; what fails is logged, and tried again at the next tick."""
    seconds = resources.settings.reap_seconds
    while True:
        try:
            await beat(resources.hot, outage=OUTAGE_TICKS * seconds)
            while await reap(resources.hot, resources.known) == AT_ONCE:
                await beat(resources.hot, outage=OUTAGE_TICKS * seconds)
            await tidy(resources.hot)
        except (psycopg.Error, LookupError) as error:
            log.warning("reaper failed", error=where(error))
        await asyncio.sleep(seconds)


@asynccontextmanager
async def reaping(resources: Resources) -> AsyncIterator[None]:
    """Reap for as long as the app runs."""
    async with beside(run(resources), name="reaper"):
        yield


@asynccontextmanager
async def listening(resources: Resources) -> AsyncIterator[None]:
    """Wake asks when suggestions come, for as long as the app runs."""
    conninfo = resources.hot.conninfo
    assert isinstance(conninfo, str)
    async with beside(resources.ready.listen(conninfo), name="ready"):
        yield
