"""Keys in the database."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.db.project import api_key, project

COLUMNS: tuple[Column[Any], ...] = (
    api_key.c.id,
    api_key.c.public_id,
    api_key.c.name,
    api_key.c.scopes,
    api_key.c.created_at,
    api_key.c.expires_at,
    api_key.c.revoked_at,
    api_key.c.last_used_at,
)


async def project_name(connection: AsyncConnection, project_id: int) -> str:
    """The name of a project."""
    return str(await connection.scalar(select(project.c.name).where(project.c.id == project_id)))


async def add(
    connection: AsyncConnection,
    *,
    project_id: int,
    public_id: str,
    name: str,
    stored: bytes,
    scopes: Sequence[str],
    days: int | None,
) -> Row[Any]:
    """Store a new key; `days` of None means that it never expires."""
    expires = None if days is None else func.clock_timestamp() + timedelta(days=days)
    statement = insert(api_key).values(
        project_id=project_id,
        public_id=public_id,
        name=name,
        digest=stored,
        scopes=list(scopes),
        expires_at=expires,
    )
    return (await connection.execute(statement.returning(*COLUMNS))).one()


async def page(
    connection: AsyncConnection, *, project_id: int, after: int, limit: int
) -> list[Row[Any]]:
    """Keys in the order in which they were made, those after the one with that private id."""
    statement = (
        select(*COLUMNS)
        .where(api_key.c.project_id == project_id, api_key.c.id > after)
        .order_by(api_key.c.id)
        .limit(limit)
    )
    return list((await connection.execute(statement)).all())


async def revoke(connection: AsyncConnection, *, project_id: int, public_id: str) -> bool:
    """Revoke a key from now on; False when the project has none of that name."""
    statement = (
        update(api_key)
        .where(api_key.c.project_id == project_id, api_key.c.public_id == public_id)
        .values(revoked_at=func.coalesce(api_key.c.revoked_at, func.clock_timestamp()))
        .returning(api_key.c.id)
    )
    return (await connection.execute(statement)).first() is not None
