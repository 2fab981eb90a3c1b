"""What a person, or a program, may write on a trial: tags, attributes, notes."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from service.errors import InvalidRequest, LimitExceeded, NotFound
from service.schemas.trials import TrialPatch
from service.views.trials import find_trial

MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_BYTES = 64 * 1024  # of all of a trial's attributes, as Postgres stores them

# The trial is locked before the counter, as everywhere.
PATCH = """
with locked as (
    select id, study_id from trial where id = %(id)s for no key update
), bumped as (
    update study_counter n set version = version + 1 from locked
     where n.study_id = locked.study_id
    returning version
)
update trial t
   set tags = coalesce(%(tags)s, t.tags),
       notes = coalesce(%(notes)s, t.notes),
       attributes = (coalesce(t.attributes, '{}') || %(set)s::jsonb) - %(removed)s::text[],
       changed_version = bumped.version
  from locked, bumped where t.id = locked.id
returning t.attributes,
          (select count(*) from jsonb_object_keys(t.attributes)), pg_column_size(t.attributes)
"""


async def patch_trial(
    connection: AsyncConnection[Any], project_id: int, reference: str, body: TrialPatch
) -> None:
    """Write what the body holds, in the caller's transaction; what is absent stays.

    Attributes are merged, so that two writers of different ones do not meet; a null removes one.
    Raises NotFound, LimitExceeded.
    """
    found = await find_trial(connection, project_id, reference)
    for name in ("tags", "notes"):
        if name in body.model_fields_set and getattr(body, name) is None:
            raise InvalidRequest.at(name, "expected a value, or none of the field at all")
    given = body.attributes or {}
    values = {
        "id": found["id"],
        "tags": body.tags,
        "notes": body.notes,
        "set": Jsonb({name: value for name, value in given.items() if value is not None}),
        "removed": [name for name, value in given.items() if value is None],
    }
    row = await (await connection.execute(PATCH, values)).fetchone()
    if row is None:
        raise NotFound
    if row[1] > MAX_ATTRIBUTES or row[2] > MAX_ATTRIBUTE_BYTES:
        raise LimitExceeded(
            f"a trial has at most {MAX_ATTRIBUTES} attributes, {MAX_ATTRIBUTE_BYTES} bytes in all"
        )
