"""From what a path says to a study: its public id, or its name."""

import re
from typing import Any

from psycopg import AsyncConnection

from service.db.rows import Row, fetch_one
from service.errors import NotFound
from service.ids import STUDY_ID

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

FIND = """
select * from study
 where project_id = %(project)s and deleted_at is null and {column} = %(reference)s
"""


def no_study(reference: str) -> NotFound:
    """The refusal of a study that the project does not have."""
    return NotFound(f"the project has no study {reference!r:.160}")


async def lock_study(connection: AsyncConnection[Any], project_id: int, reference: str) -> Row:
    """The study's row, locked to the end of the transaction; raises NotFound.

    Whoever holds it may wait for no trial: the order is trial, lease, study_counter, study.
    """
    return await _find(connection, project_id, reference, " for no key update")


async def find_study(connection: AsyncConnection[Any], project_id: int, reference: str) -> Row:
    """The study's row; raises NotFound."""
    return await _find(connection, project_id, reference, "")


async def _find(
    connection: AsyncConnection[Any], project_id: int, reference: str, lock: str
) -> Row:
    by_id = STUDY_ID.fullmatch(reference)
    if not by_id and not _NAME.fullmatch(reference):
        raise no_study(reference)
    statement = FIND.format(column="public_id" if by_id else "name") + lock
    row = await fetch_one(connection, statement, {"project": project_id, "reference": reference})
    if row is None:
        raise no_study(reference)
    return row
