"""The list of a project's studies, the latest first."""

from collections.abc import Sequence
from typing import Annotated, Any

from psycopg import AsyncConnection
from pydantic import Field

from service.db.rows import fetch_all
from service.http.cursors import decode, encode
from service.http.params import Paging
from service.schemas.base import Page
from service.schemas.studies import StudyItem, StudyState
from service.studies.read import SELECT, study_items

LIST = f"""
{SELECT}
 where s.project_id = %(project)s and s.deleted_at is null and s.id < %(before)s
   and (%(name)s::text is null or position(lower(%(name)s) in lower(s.name)) > 0)
   and (%(state)s::text[] is null or s.state = any(%(state)s))
   and (%(tag)s::text is null or %(tag)s = any(s.tags))
   and (%(managed)s::bool is null or (s.managed is not null) = %(managed)s)
 order by s.id desc limit %(limit)s
"""


class StudyFilter(Paging):
    """Which studies to list."""

    name: Annotated[str | None, Field(max_length=128, description="part of the name")] = None
    state: Annotated[Sequence[StudyState], Field(max_length=4)] = ()
    tag: Annotated[str | None, Field(max_length=128)] = None
    managed: bool | None = None


async def list_studies(
    connection: AsyncConnection[Any], project_id: int, wanted: StudyFilter
) -> Page[StudyItem]:
    """One page of the studies that pass the filter."""
    values = {
        "project": project_id,
        "before": decode(wanted.cursor, int)[0] if wanted.cursor else 2**63 - 1,
        "name": wanted.name,
        "state": list(wanted.state) or None,
        "tag": wanted.tag,
        "managed": wanted.managed,
        "limit": wanted.limit + 1,
    }
    rows = await fetch_all(connection, LIST, values)
    kept = rows[: wanted.limit]
    after = encode([kept[-1]["id"]]) if len(rows) > wanted.limit else None
    return Page(items=await study_items(connection, kept), next=after)
