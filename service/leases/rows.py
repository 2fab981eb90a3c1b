"""Rows as values: the columns of a statement stand in the order of the fields."""

from collections.abc import Mapping
from typing import Any, TypeVar

from psycopg import AsyncConnection

Row = TypeVar("Row")


async def fetch(
    connection: AsyncConnection[Any],
    kind: type[Row],
    statement: str,
    values: Mapping[str, Any],
    *,
    binary: bool = False,
) -> Row | None:
    """The statement's row, or None when it has none.  The statement is prepared at once."""
    cursor = await connection.execute(statement, values, prepare=True, binary=binary)
    row = await cursor.fetchone()
    return None if row is None else kind(*row)
