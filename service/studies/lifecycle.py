"""Pause, resume, stop, delete: what each does in each state of a study."""

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection

from service.db.rows import Row
from service.errors import WrongState
from service.events.log import log
from service.studies.completion import complete_if_done
from service.studies.find import lock_study

PAUSE = """
update study set state = 'paused', state_reason = null, settled = not %(now)s,
       revision = revision + 1
 where id = %(id)s
"""
RESUME = """
update study set state = 'active', state_reason = null, settled = true, finished_at = null,
       revision = revision + 1
 where id = %(id)s
"""
STOP = """
update study set state = 'stopped', state_reason = %(reason)s, settled = false,
       finished_at = clock_timestamp(), revision = revision + 1
 where id = %(id)s
"""
DELETE = """
update study set state = 'deleted', deleted_at = clock_timestamp(), settled = false
 where id = %(id)s
"""


async def pause(
    connection: AsyncConnection[Any], project_id: int, reference: str, *, now: bool
) -> int:
    """No new leases; with `now`, running trials are to be given back.  Returns the private id.

    A repeat does nothing, unless it adds `now`.  Raises WrongState for a study that has ended.
    """
    async with connection.transaction():
        row = await lock_study(connection, project_id, reference)
        _refuse(row, "paused", ("stopped", "completed"))
        if row["state"] == "active" or now:
            await _change(connection, row, PAUSE, "study_paused", {"now": now})
    return int(row["id"])


async def resume(connection: AsyncConnection[Any], project_id: int, reference: str) -> int:
    """Go on with a paused study, or with a completed one whose budget was raised since.

    A repeat does nothing.  Raises WrongState for a stopped study, or when a limit is still reached.
    """
    async with connection.transaction():
        row = await lock_study(connection, project_id, reference)
        _refuse(row, "resumed", ("stopped",))
        if row["state"] != "active":
            await _change(connection, row, RESUME, "study_resumed", {})
            if await complete_if_done(connection, row["id"]):
                raise WrongState("its budget or target is reached: raise it first")
    return int(row["id"])


async def stop(
    connection: AsyncConnection[Any], project_id: int, reference: str, *, reason: str
) -> int:
    """End the study; its trials are to follow.  A repeat keeps the first reason.

    Raises WrongState for a study that is completed.
    """
    async with connection.transaction():
        row = await lock_study(connection, project_id, reference)
        _refuse(row, "stopped", ("completed",))
        if row["state"] != "stopped":
            await _change(connection, row, STOP, "study_stopped", {"reason": reason})
    return int(row["id"])


async def delete(connection: AsyncConnection[Any], project_id: int, reference: str) -> int:
    """Delete the study: nobody finds it again, and its rows go in batches."""
    async with connection.transaction():
        row = await lock_study(connection, project_id, reference)
        await connection.execute(DELETE, row)
    return int(row["id"])


async def _change(
    connection: AsyncConnection[Any],
    row: Row,
    statement: str,
    kind: str,
    detail: Mapping[str, Any],
) -> None:
    await connection.execute(statement, {"id": row["id"], **detail})
    await log(connection, row["id"], None, kind, detail)


def _refuse(row: Row, act: str, states: tuple[str, ...]) -> None:
    if row["state"] in states:
        raise WrongState(f"the study is {row['state']} and cannot be {act}")
