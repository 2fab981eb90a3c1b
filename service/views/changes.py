"""What changed since a version: a state to catch up with, so that an answer lost costs nothing."""

import asyncio
import time
from typing import Annotated

from pydantic import Field

from service.db.rows import Row, fetch_all, fetch_one
from service.errors import NotFound
from service.http.params import Params
from service.resources import Resources
from service.schemas.trials import Changes
from service.studies.find import find_study
from service.views.trials import SELECT, trial_item

BETWEEN_LOOKS = 0.5  # seconds
AT_ONCE = 200

NOW = """
select n.version, s.state, s.revision from study s join study_counter n on n.study_id = s.id
 where s.id = %(study)s and s.deleted_at is null
"""
# The version is read first: what changes after that has a higher one and is left for next time.
# Trials that changed together have the same version and come together, whatever their number.
CHANGED = f"""
{SELECT}
 where t.study_id = %(study)s and t.changed_version > %(since)s
   and t.changed_version <= %(version)s
 order by t.changed_version fetch first %(limit)s rows with ties
"""


class ChangesQuery(Params):
    """From where, and how long to wait for something to happen."""

    since: Annotated[int, Field(ge=0, lt=2**63, description="`version` of the last answer")] = 0
    wait: Annotated[float, Field(ge=0, le=20, description="seconds")] = 0


async def changes(
    needs: Resources, project_id: int, reference: str, query: ChangesQuery
) -> Changes:
    """The trials that changed, after waiting for a change if there is none yet.

    No connection is held while waiting.  Raises NotFound, also when the study is deleted meanwhile.
    """
    async with needs.cold() as connection:
        study_id = (await find_study(connection, project_id, reference))["id"]
    begun = first = await _look(needs, study_id)
    until = time.monotonic() + query.wait
    while first["version"] <= query.since and time.monotonic() < until:
        await asyncio.sleep(min(BETWEEN_LOOKS, query.wait))
        first = await _look(needs, study_id)
        if (first["state"], first["revision"]) != (begun["state"], begun["revision"]):
            break
    return await _changed(needs, study_id, first, query.since)


async def _look(needs: Resources, study_id: int) -> Row:
    async with needs.cold() as connection:
        row = await fetch_one(connection, NOW, {"study": study_id})
    if row is None:
        raise NotFound("the study has been deleted")
    return row


async def _changed(needs: Resources, study_id: int, now: Row, since: int) -> Changes:
    values = {"study": study_id, "since": since, "version": now["version"], "limit": AT_ONCE}
    async with needs.cold() as connection:
        rows = await fetch_all(connection, CHANGED, values)
    version = rows[-1]["changed_version"] if len(rows) >= AT_ONCE else now["version"]
    return Changes(version=version, items=[trial_item(row) for row in rows], state=now["state"])
