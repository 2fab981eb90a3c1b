"""What every replica sees to once a second: studies to settle, hours run out, old answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from service.background import beside
from service.db.engine import HotPool
from service.observability.logs import log, where
from service.resources import Resources
from service.studies.completion import complete_if_done
from service.studies.ending import settle

AT_ONCE = 50  # studies in one round: the rest has its turn in the next
UNSETTLED = "select id from study where not settled order by id limit %s"
OVERDUE = """
select id from study
 where state in ('active', 'paused') and budget_hours is not null
   and started_at + budget_hours * interval '1 hour' <= clock_timestamp()
 limit %s
"""
FORGET = """
delete from idempotency where (project_id, key) in (
    select project_id, key from idempotency
     where created_at < clock_timestamp() - interval '24 hours' limit 1000)
"""


async def sweep(pool: HotPool) -> None:
    """One round.  Any number of replicas may do it at once."""
    for study_id in await _ids(pool, OVERDUE):
        async with pool.connection() as connection, connection.transaction():
            await complete_if_done(connection, study_id)
    for study_id in await _ids(pool, UNSETTLED):
        await settle(pool, study_id)
    async with pool.connection() as connection:
        await connection.execute(FORGET)


@asynccontextmanager
async def sweeping(resources: Resources) -> AsyncIterator[None]:
    """Sweep for as long as the app runs."""
    async with beside(_sweep_for_ever(resources), name="sweeper"):
        yield


async def _sweep_for_ever(resources: Resources) -> None:
    while True:
        await asyncio.sleep(resources.settings.reap_seconds)
        try:
            await sweep(resources.hot)
        except psycopg.Error as error:
            log.warning("sweep failed", error=where(error))


async def _ids(pool: HotPool, statement: str) -> list[int]:
    async with pool.connection() as connection:
        rows = await (await connection.execute(statement, (AT_ONCE,))).fetchall()
    return [row[0] for row in rows]
