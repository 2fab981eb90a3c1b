"""From what a path says to a study: its public id, or its name."""

import re
from typing import Any

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from sqlalchemy import ColumnElement, and_, false

from service.db.study import study
from service.errors import NotFound
from service.ids import STUDY_ID

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
NOT_FOUND = "the project has no such study"

FIND = """
select * from study
 where project_id = %(project)s and deleted_at is null and {column} = %(reference)s
"""


def is_study(project_id: int, reference: str) -> ColumnElement[bool]:
    """The condition that a row of `study` is the one meant, and stands in the project."""
    if STUDY_ID.fullmatch(reference):
        named: ColumnElement[bool] = study.c.public_id == reference
    elif _NAME.fullmatch(reference):
        named = study.c.name == reference
    else:  # nothing that could be stored, so nothing to ask the database
        named = false()
    return and_(study.c.project_id == project_id, study.c.deleted_at.is_(None), named)


async def lock_study(connection: AsyncConnection[Any], project_id: int, reference: str) -> DictRow:
    """The study's row, locked to the end of the transaction; raises NotFound.

    Whoever holds it may wait for no trial: the order is trial, lease, study_counter, study.
    """
    return await _find(connection, project_id, reference, " for no key update")


async def find_study(connection: AsyncConnection[Any], project_id: int, reference: str) -> DictRow:
    """The study's row; raises NotFound."""
    return await _find(connection, project_id, reference, "")


async def _find(
    connection: AsyncConnection[Any], project_id: int, reference: str, lock: str
) -> DictRow:
    by_id = STUDY_ID.fullmatch(reference)
    if not by_id and not _NAME.fullmatch(reference):
        raise NotFound(NOT_FOUND)
    statement = FIND.format(column="public_id" if by_id else "name") + lock
    cursor: AsyncCursor[DictRow] = connection.cursor(row_factory=dict_row)
    await cursor.execute(statement, {"project": project_id, "reference": reference})
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(NOT_FOUND)
    return row
