"""The log of what happened to studies and trials, written where it happens."""

from collections.abc import Mapping
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

INSERT_EVENT = """
insert into event (study_id, trial_id, kind, detail)
values (%(study)s, %(trial)s, %(kind)s, %(detail)s)
"""


async def log(
    connection: AsyncConnection[Any],
    study_id: int,
    trial_id: int | None,
    kind: str,
    detail: Mapping[str, Any],
) -> None:
    """Add an event; it is there if and only if the caller's transaction commits."""
    row = {"study": study_id, "trial": trial_id, "kind": kind, "detail": Jsonb(dict(detail))}
    await connection.execute(INSERT_EVENT, row)
