"""Changing what of a study may change."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import psycopg
from fastapi import Header
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from service.errors import InvalidRequest, PreconditionRequired, RevisionConflict, StudyExists
from service.events.log import log
from service.ids import STUDY_ID
from service.schemas.studies import Budget, StudyPatch
from service.studies.budget import budget_of, budget_values, check_budget
from service.studies.completion import complete_if_done
from service.studies.create import NO_FLEET
from service.studies.find import lock_study
from service.studies.spec import load_spec

IfMatch = Annotated[
    str | None,
    Header(max_length=100, description='the revision that was read, quoted: `"3"`; or `*`'),
]
_REVISION = re.compile(r'(?:W/)?"(\d{1,10})"')

CHANGE = """
update study set name = %(name)s, notes = %(notes)s, tags = %(tags)s, max_running = %(max_running)s,
       budget_trials = %(trials)s, budget_hours = %(hours)s, budget_target = %(target)s,
       budget_gain = %(min_expected_gain)s, budget_patience = %(patience)s,
       managed = %(managed)s, revision = revision + 1
 where id = %(id)s
"""
CONTEXT = "select 1 from study_spec where study_id = %s and context is not null"
# What null means: no text, no tags, no limit.  A study always has a name.
_NULL: Mapping[str, Any] = {"notes": "", "tags": [], "max_running": None}


async def patch_study(
    connection: AsyncConnection[Any],
    project_id: int,
    reference: str,
    body: StudyPatch,
    if_match: str | None,
) -> tuple[str, int]:
    """Change the fields that the body holds; returns the public and the private id.

    Raises PreconditionRequired without If-Match, RevisionConflict when somebody was faster,
    StudyExists when the name is taken.  A budget that is already used up ends the study.
    """
    if if_match is None:
        raise PreconditionRequired('send If-Match with the revision that you read, as in `"3"`')
    async with connection.transaction():
        row = await lock_study(connection, project_id, reference)
        _check_revision(if_match, row["revision"])
        if body.managed is not None:
            await _check_manageable(connection, row["id"])
        if body.budget is not None and body.budget.min_expected_gain is not None:
            check_budget(body.budget, await load_spec(connection, row["id"], row["spec_version"]))
        await _change(connection, {**row, **_changes(row, body)})
        fields = sorted(body.model_fields_set)
        await log(connection, row["id"], None, "study_changed", {"fields": fields})
        await complete_if_done(connection, row["id"])
    return row["public_id"], row["id"]


async def _check_manageable(connection: AsyncConnection[Any], study_id: int) -> None:
    row = await (await connection.execute(CONTEXT, (study_id,))).fetchone()
    if row is not None:
        raise InvalidRequest.at("managed", NO_FLEET)


async def _change(connection: AsyncConnection[Any], values: dict[str, Any]) -> None:
    managed = values["managed"] and Jsonb(values["managed"])
    try:
        await connection.execute(CHANGE, {**values, "managed": managed})
    except psycopg.errors.UniqueViolation:
        raise StudyExists(f"the project has a study named {values['name']!r}") from None


def _changes(row: dict[str, Any], body: StudyPatch) -> dict[str, Any]:
    budget = body.budget or Budget()
    if "budget" not in body.model_fields_set:
        budget = budget_of(row)
    changes: dict[str, Any] = budget_values(budget)
    if "managed" in body.model_fields_set:
        changes["managed"] = body.managed and body.managed.model_dump(mode="json")
    for name in body.model_fields_set & {"name", "notes", "tags", "max_running"}:
        value = getattr(body, name)
        changes[name] = _NULL.get(name) if value is None else value
    if "name" in changes and (changes["name"] is None or STUDY_ID.fullmatch(changes["name"])):
        raise InvalidRequest.at("name", "expected a name that does not look like a study's id")
    return changes


def _check_revision(if_match: str, revision: int) -> None:
    if if_match.strip() == "*":
        return
    match = _REVISION.fullmatch(if_match.strip())
    if match is None or int(match[1]) != revision:
        raise RevisionConflict(f"the study is at revision {revision} now: read it again")
