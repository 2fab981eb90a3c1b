"""Making trials follow their study: stopped with it, given back at a pause, deleted.

The study's new state is committed first, with `settled = false`; then its trials are worked through
in small transactions of their own, here.  Nobody waits for a trial while holding the study, and a
process that dies on the way loses nothing: the sweeper of any replica goes on until it is settled.
"""

from typing import Any

from psycopg import AsyncConnection

from service.db.engine import HotPool

BATCH = 100

# Queued trials that nobody will run.  A trial is locked before the counter, as everywhere.
CANCEL = """
with picked as (
    select id from trial where study_id = %(study)s and state = 'queued'
     order by id limit %(batch)s for no key update skip locked
), bumped as (
    update study_counter
       set finished = finished + (select count(*) from picked), version = version + 1
     where study_id = %(study)s and exists (select from picked)
    returning version
), done as (
    update trial t set state = 'cancelled', reason = %(reason)s, finished_at = clock_timestamp(),
           changed_version = bumped.version
      from picked, bumped where t.id = picked.id
    returning t.id
)
insert into event (study_id, trial_id, kind, detail)
select %(study)s, id, 'trial_cancelled', jsonb_build_object('reason', %(reason)s::text) from done
"""

# Running trials are asked; their workers hear it with their next answer.
REQUEST = """
with picked as (
    select l.trial_id from lease l join trial t on t.id = l.trial_id
     where t.study_id = %(study)s and t.state = 'running' and l.request is distinct from 'stop'
       and l.request is distinct from %(request)s
     limit %(batch)s for no key update of l skip locked
), asked as (
    update lease l set request = %(request)s, request_reason = %(reason)s
      from picked where l.trial_id = picked.trial_id
    returning l.trial_id
)
insert into event (study_id, trial_id, kind, detail)
select %(study)s, trial_id, 'trial_stop_requested',
       jsonb_build_object('reason', %(reason)s::text, 'request', %(request)s::text)
  from asked
"""

# A request is asked once, but a lease taken just as the state changed may appear later: a study is
# settled only when nothing of it runs any more.
SETTLED = """
update study s set settled = true from study_counter n
 where s.id = %(study)s and n.study_id = s.id and not s.settled
   and case s.state when 'paused' then n.running = 0 else n.finished = n.next_number end
   and s.state = %(state)s
"""

# What a deleted study leaves behind, the large tables first; the row itself stays as a tombstone.
DELETE = (
    """
    delete from trial where id in (
        select id from trial where study_id = %(study)s limit %(batch)s for update skip locked)
    """,
    """
    delete from event where id in (
        select id from event where study_id = %(study)s limit 10 * %(batch)s)
    """,
    """
    delete from batch where study_id = %(study)s and number in (
        select number from batch where study_id = %(study)s limit %(batch)s)
    """,
    """
    delete from standing where ctid in (
        select ctid from standing where study_id = %(study)s limit 10 * %(batch)s)
    """,
    "delete from demand where study_id = %(study)s",
    """
    delete from preference where id in (
        select id from preference where study_id = %(study)s limit 10 * %(batch)s)
    """,
    "delete from study_earlier where study_id = %(study)s",
    "delete from insight where study_id = %(study)s",
)
CLEANED = """
update study set settled = true where id = %(study)s and state = 'deleted'
   and not exists (select from trial where study_id = %(study)s)
"""
STATE = "select state, state_reason from study where id = %s and not settled"


async def settle(pool: HotPool, study_id: int) -> None:
    """Ask, cancel or delete what the study's state calls for, as far as it can be done now.

    A repeat does what is left; a settled study is left alone.
    """
    async with pool.connection() as connection:
        row = await (await connection.execute(STATE, (study_id,))).fetchone()
        if row is None:
            return
        state, reason = row
        of_study = {"study": study_id, "batch": BATCH, "state": state}
        if state == "deleted":
            await _delete(connection, of_study)
        elif state == "paused":
            why = {"request": "release", "reason": reason or "the study is paused"}
            await _drain(connection, REQUEST, of_study | why)
            await connection.execute(SETTLED, of_study)
        else:
            why = {"request": "stop", "reason": f"the study is {state}"}
            await _drain(connection, CANCEL, of_study | why)
            await _drain(connection, REQUEST, of_study | why)
            await connection.execute(SETTLED, of_study)


async def _drain(
    connection: AsyncConnection[Any], statement: str, values: dict[str, object]
) -> None:
    """Run the statement until it finds no more; each run is a transaction of its own."""
    while (await connection.execute(statement, values)).rowcount == values["batch"]:
        pass


async def _delete(connection: AsyncConnection[Any], values: dict[str, object]) -> None:
    for statement in DELETE:
        while (await connection.execute(statement, values)).rowcount > 0:
            pass
    await connection.execute(CLEANED, values)
