"""Lists of a study's trials: filtered, sorted, a page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from psycopg import AsyncConnection
from pydantic import Field

from service.db.rows import Row, fetch_all
from service.http.cursors import decode, encode
from service.http.params import Paging, Params
from service.schemas.base import Page
from service.schemas.trials import TrialItem, TrialState
from service.views.trials import COLUMNS, TABLES, trial_item
from service.views.where import LONGEST, parse_where

Sort = Literal[
    "number", "-number", "value", "-value", "created", "-created", "finished", "-finished"
]


class TrialFilter(Params):
    """Which trials."""

    state: Annotated[Sequence[TrialState], Field(max_length=7)] = ()
    where: Annotated[
        str,
        Field(
            max_length=LONGEST,
            description="conditions joined by commas, as in `lr<0.01,optimizer=adamw,value>0.9`",
        ),
    ] = ""


class TrialQuery(TrialFilter, Paging):
    """Which trials, in which order: trials without the sort key come last."""

    sort: Sort = "number"


@dataclass(frozen=True)
class Order:
    """A sort key: SQL that is never null, ascending and descending, and its type."""

    up: str
    down: str
    kind: str


def _nulls_last(column: str, kind: str, low: str, high: str) -> Order:
    up, down = f"coalesce({column}, '{high}')", f"coalesce({column}, '{low}')"
    return Order(up=up, down=down, kind=kind)


ORDERS: Mapping[str, Order] = {
    "number": Order(up="t.number", down="t.number", kind="int8"),
    "value": _nulls_last("t.objective", "float8", "-Infinity", "Infinity"),
    "created": Order(up="t.created_at", down="t.created_at", kind="timestamptz"),
    "finished": _nulls_last("t.finished_at", "timestamptz", "-infinity", "infinity"),
}


async def list_trials(
    connection: AsyncConnection[Any], study_id: int, query: TrialQuery
) -> Page[TrialItem]:
    """One page of the study's trials."""
    rows = await trial_rows(connection, study_id, query, limit=query.limit + 1)
    kept = rows[: query.limit]
    more = len(rows) > query.limit
    return Page(
        items=[trial_item(row) for row in kept],
        next=encode([kept[-1]["sort_key"], kept[-1]["number"]]) if more else None,
    )


async def trial_rows(
    connection: AsyncConnection[Any], study_id: int, query: TrialQuery, *, limit: int
) -> list[Row]:
    """Rows of trials from the query's cursor on, each with its `sort_key`.

    A key travels as text, so that infinities survive JSON; Postgres writes both kinds exactly.
    """
    order, down = ORDERS[query.sort.removeprefix("-")], query.sort.startswith("-")
    key = order.down if down else order.up
    where = parse_where(query.where)
    values: dict[str, object] = {**where.values, "study": study_id, "limit": limit}
    conditions = ["t.study_id = %(study)s", *where.sql]
    if query.state:
        conditions.append("t.state = any(%(state)s)")
        values["state"] = list(query.state)
    if query.cursor:
        after = f"%(after)s::{order.kind}"
        beyond = f"{key} {'<' if down else '>'} {after}"
        conditions.append(f"({beyond} or {key} = {after} and t.number > %(after_number)s)")
        values["after"], values["after_number"] = decode(query.cursor, str, int)
    statement = (
        f"{COLUMNS}, ({key})::text as sort_key {TABLES} where {' and '.join(conditions)}"
        f" order by {key} {'desc' if down else 'asc'}, t.number limit %(limit)s"
    )
    return await fetch_all(connection, statement, values)
