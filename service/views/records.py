"""What happened: events, batches of the searcher, the ends of logs."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from psycopg import AsyncConnection
from pydantic import Field

from service.db.rows import Row, fetch_all
from service.http.cursors import decode, encode
from service.http.params import Paging
from service.resources import Resources
from service.schemas.base import Page
from service.schemas.studies import BatchItem
from service.schemas.trials import EventItem, LogItem, Logs

STREAMED = 500

EVENTS = """
select e.id, e.at, e.kind, t.public_id as trial, e.detail from event e
  left join trial t on t.id = e.trial_id
 where e.{owner} = %(owner)s and e.id > %(after)s
   and (%(kind)s::text[] is null or e.kind = any(%(kind)s))
 order by e.id limit %(limit)s
"""
BATCHES = """
select number, state, count, context, watermark, error, exhausted, seconds, seen, expected_gain,
       created_at, finished_at
  from batch where study_id = %(study)s and number < %(before)s
 order by number desc limit %(limit)s
"""
LOGS = """
select number as attempt, worker, exit, end_reason, log_tail from attempt
 where trial_id = %(trial)s order by number
"""
Owner = Literal["study_id", "trial_id"]


class EventQuery(Paging):
    """Which events; as JSON lines the page runs to the end."""

    kind: Annotated[list[str], Field(max_length=20)] = []  # noqa: RUF012  (pydantic copies it)
    format: Literal["json", "jsonl"] = "json"


async def events(
    connection: AsyncConnection[Any], owner: Owner, owner_id: int, query: EventQuery
) -> Page[EventItem]:
    """One page of the events of a study or a trial, the oldest first."""
    rows = await _events(connection, owner, owner_id, query, query.limit + 1)
    kept = rows[: query.limit]
    return Page(
        items=[EventItem(**row) for row in kept],
        next=encode([kept[-1]["id"]]) if len(rows) > query.limit else None,
    )


async def event_lines(
    needs: Resources, owner: Owner, owner_id: int, query: EventQuery
) -> AsyncIterator[str]:
    """All events from the cursor on, one JSON object a line."""
    while True:
        async with needs.cold() as connection:
            rows = await _events(connection, owner, owner_id, query, STREAMED)
        for row in rows:
            yield EventItem(**row).model_dump_json() + "\n"
        if len(rows) < STREAMED:
            return
        query = query.model_copy(update={"cursor": encode([rows[-1]["id"]])})


async def batches(
    connection: AsyncConnection[Any], study_id: int, paging: Paging
) -> Page[BatchItem]:
    """One page of the study's batches, the latest first."""
    values = {
        "study": study_id,
        "before": decode(paging.cursor, int)[0] if paging.cursor else 2**31 - 1,
        "limit": paging.limit + 1,
    }
    rows = await fetch_all(connection, BATCHES, values)
    kept = rows[: paging.limit]
    return Page(
        items=[BatchItem(**row) for row in kept],
        next=encode([kept[-1]["number"]]) if len(rows) > paging.limit else None,
    )


async def logs(connection: AsyncConnection[Any], trial_id: int) -> Logs:
    """The ends of the logs of a trial's attempts."""
    rows = await fetch_all(connection, LOGS, {"trial": trial_id})
    return Logs(items=[LogItem(**row) for row in rows])


async def _events(
    connection: AsyncConnection[Any], owner: Owner, owner_id: int, query: EventQuery, limit: int
) -> list[Row]:
    values = {
        "owner": owner_id,
        "after": decode(query.cursor, int)[0] if query.cursor else 0,
        "kind": query.kind or None,
        "limit": limit,
    }
    return await fetch_all(connection, EVENTS.format(owner=owner), values)
