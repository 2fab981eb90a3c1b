"""Taking answers: checked against the study's trials, stored, and logged, all or none."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from service.db.rows import Row, fetch_all, fetch_one
from service.errors import InvalidRequest, LimitExceeded, NotFound
from service.events.log import log
from service.preferences.read import preferences
from service.schemas.preferences import Preference

MOST_PAIRS = 10_000  # of neighbours in the rankings of a study

TRIALS = """
select public_id, number, state from trial
 where study_id = %(study)s
   and (number = any(%(numbers)s::int[]) or public_id = any(%(ids)s::text[]))
"""
# The counter's lock puts answers in order: a later one has a higher version, and a higher id.
BUMP = """
update study_counter set version = version + 1 where study_id = %(study)s returning version
"""
KNOWN = """
select coalesce(sum(cardinality(ranking) - 1), 0) as pairs, coalesce(max(id), 0) as last
  from preference where study_id = %(study)s
"""
INSERT = """
insert into preference (study_id, version, ranking)
select %(study)s, %(version)s,
       (select array_agg(n.value::int order by n.place)
          from jsonb_array_elements_text(r.ranking) with ordinality n (value, place))
  from jsonb_array_elements(%(rankings)s::jsonb) with ordinality r (ranking, place)
 order by r.place
"""
# Its row comes last, and keeps the study from being deleted before the caller commits.
THERE = "select id from study where id = %(study)s and deleted_at is null for share"

Reference = int | str


async def give(
    connection: AsyncConnection[Any], study_id: int, given: Sequence[Sequence[Reference]]
) -> list[Preference]:
    """Store the rankings in the caller's transaction; the answers as they are kept.

    Raises InvalidRequest, naming the culprit, for a trial that the study does not have, that is
    not completed, or that comes twice in a ranking; LimitExceeded when there are too many.
    """
    numbers = _checked(given, await _trials(connection, study_id, given))
    row = await fetch_one(connection, BUMP, {"study": study_id})
    known = await fetch_one(connection, KNOWN, {"study": study_id})
    if row is None or known is None:
        raise NotFound("the study is gone")
    pairs = sum(len(ranking) - 1 for ranking in numbers)
    if known["pairs"] + pairs > MOST_PAIRS:
        raise LimitExceeded(
            f"a study takes {MOST_PAIRS} comparisons and has {known['pairs']}: {pairs} are too many"
        )
    values = {"study": study_id, "version": row["version"], "rankings": Jsonb(numbers)}
    await connection.execute(INSERT, values)
    detail = {"rankings": len(numbers), "pairs": pairs}
    await log(connection, study_id, None, "preferences_given", detail)
    if await fetch_one(connection, THERE, {"study": study_id}) is None:
        raise NotFound("the study is gone")
    return await preferences(connection, study_id, after=known["last"], limit=len(numbers))


async def _trials(
    connection: AsyncConnection[Any], study_id: int, given: Sequence[Sequence[Reference]]
) -> dict[Reference, Row]:
    """The study's trials among the references, by number and by id."""
    everything = [reference for ranking in given for reference in ranking]
    values = {
        "study": study_id,
        "numbers": [number for number in everything if isinstance(number, int)],
        "ids": [public_id for public_id in everything if isinstance(public_id, str)],
    }
    rows = await fetch_all(connection, TRIALS, values)
    by_number: dict[Reference, Row] = {row["number"]: row for row in rows}
    return by_number | {row["public_id"]: row for row in rows}


def _checked(
    given: Sequence[Sequence[Reference]], trials: Mapping[Reference, Row]
) -> list[list[int]]:
    rankings: list[list[int]] = []
    for i, ranking in enumerate(given):
        rankings.append([])
        for j, reference in enumerate(ranking):
            trial, field = trials.get(reference), f"rankings.{i}.{j}"
            if trial is None:
                raise _wrong(field, f"the study has no trial {reference!r:.80}")
            if trial["state"] != "completed":
                raise _wrong(
                    field,
                    f"trial {trial['number']} is {trial['state']}: "
                    f"only completed trials can be compared",
                )
            if trial["number"] in rankings[i]:
                raise _wrong(field, f"trial {trial['number']} stands twice in this ranking")
            rankings[i].append(trial["number"])
    return rankings


def _wrong(field: str, message: str) -> InvalidRequest:
    problem = {"in": "body", "field": field, "message": message, "kind": "preference"}
    return InvalidRequest(f"{field}: {message}", errors=[problem])
