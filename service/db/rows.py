"""Rows as mappings, from a psycopg connection."""

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Row = dict[str, Any]


async def fetch_all(
    connection: AsyncConnection[Any], statement: str, values: Mapping[str, object]
) -> list[Row]:
    """All rows that the statement returns."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()


async def fetch_one(
    connection: AsyncConnection[Any], statement: str, values: Mapping[str, object]
) -> Row | None:
    """The first row that the statement returns, if it returns any."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchone()
