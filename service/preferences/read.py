"""Reading answers: for lists, for the searcher, and for the trial that they speak for."""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from search.preferences import Pair, favourite, pairs_of
from service.db.rows import Row, fetch_all
from service.schemas.preferences import Preference
from service.schemas.trials import Numbered

LIST = """
select p.id, p.created_at, array_agg(t.number order by r.place) as numbers,
       array_agg(t.public_id order by r.place) as ids
  from (select * from preference where study_id = %(study)s and id > %(after)s
         order by id limit %(limit)s) p
  cross join lateral unnest(p.ranking) with ordinality r (number, place)
  join trial t on t.study_id = p.study_id and t.number = r.number
 group by p.id, p.created_at order by p.id
"""
# The answers of a version are those that had been given by then.
RANKINGS = """
select ranking from preference where study_id = %(study)s and version <= %(version)s order by id
"""
STUDIES = """
select s.id, array_agg(to_jsonb(p.ranking) order by p.id) as rankings
  from study s
  join study_spec v on v.study_id = s.id and v.version = s.spec_version
  join preference p on p.study_id = s.id
 where s.id = any(%(studies)s) and v.objectives -> 0 ->> 'by' = 'preference'
 group by s.id
"""
TRIALS = """
select t.study_id, t.public_id, t.number, t.config, t.context, 'preference' as by
  from unnest(%(studies)s::bigint[], %(numbers)s::int[]) w (study, number)
  join trial t on t.study_id = w.study and t.number = w.number
"""


async def preferences(
    connection: AsyncConnection[Any], study_id: int, *, after: int, limit: int
) -> list[Preference]:
    """The answers given after the one with this id, the oldest first."""
    values = {"study": study_id, "after": after, "limit": limit}
    return [_item(row) for row in await fetch_all(connection, LIST, values)]


async def rankings(
    connection: AsyncConnection[Any], study_id: int, version: int
) -> list[list[int]]:
    """The rankings that the study had at a version, as numbers of trials, the oldest first."""
    rows = await fetch_all(connection, RANKINGS, {"study": study_id, "version": version})
    return [row["ranking"] for row in rows]


async def favourites(connection: AsyncConnection[Any], studies: Sequence[int]) -> list[Row]:
    """The best compared trial of each study by preference that has answers, with its utility."""
    rows = await fetch_all(connection, STUDIES, {"studies": list(studies)})
    pairs = {row["id"]: pairs_of(row["rankings"]) for row in rows}
    if not pairs:
        return []
    found = await asyncio.to_thread(_favourites, pairs)
    wanted = {
        "studies": list(found),
        "numbers": [number for number, _ in found.values()],
    }
    trials = await fetch_all(connection, TRIALS, wanted)
    seen = {row["id"]: len(row["rankings"]) for row in rows}
    return [
        _chosen(trial, found[trial["study_id"]][1], seen[trial["study_id"]]) for trial in trials
    ]


def _chosen(trial: Row, utility: float, seen: int) -> Row:
    return {**trial, "objective": utility, "mean": utility, "seen": seen}


def _favourites(pairs: dict[int, list[Pair]]) -> dict[int, tuple[int, float]]:
    found = {study: favourite(known) for study, known in pairs.items()}
    return {study: best for study, best in found.items() if best is not None}


def _item(row: Row) -> Preference:
    places = zip(row["ids"], row["numbers"], strict=True)
    return Preference(
        id=row["id"],
        ranking=[Numbered(id=public_id, number=number) for public_id, number in places],
        created_at=row["created_at"],
    )
