"""Trials as the API shows them."""

from typing import Any

from psycopg import AsyncConnection

from service.db.rows import Row, fetch_all, fetch_one
from service.errors import NotFound
from service.ids import TRIAL_ID
from service.schemas.trials import AttemptItem, CheckpointOffer, Trial, TrialItem

# The last step is looked up metric by metric: the end of each in the primary key, however long.
COLUMNS = """
select t.id, t.public_id, s.public_id as study, t.number, t.state, t.config, t.context, t.values,
       t.errors, t.gradients, t.objective, t.origin, t.attempt, t.reason, t.tags, t.created_at,
       t.started_at, t.finished_at, t.changed_version, a.worker, parent.public_id as parent,
       retried.public_id as retry_of,
       (select max(ends.step)
          from metric_name named
          cross join lateral (
              select m.step from metric m
               where m.trial_id = t.id and m.metric_id = named.id
               order by m.step desc limit 1) ends
         where named.study_id = t.study_id) as last_step
"""
TABLES = """
  from trial t
  join study s on s.id = t.study_id
  left join attempt a on a.trial_id = t.id and a.number = t.attempt
  left join trial parent on parent.id = t.parent_id
  left join trial retried on retried.id = t.retry_of
"""
SELECT = COLUMNS + TABLES
ONE = f"""
{COLUMNS}, t.study_id, t.message, t.notes, t.attributes, k.step as k_step, k.key as k_key,
       k.size as k_size, k.sha256 as k_sha256
{TABLES}
  left join checkpoint k on k.id = t.checkpoint_id and k.committed_at is not null
 where t.public_id = %(trial)s and s.project_id = %(project)s and s.deleted_at is null
"""
ATTEMPTS = """
select number, worker, started_at, ended_at, end_reason, exit from attempt
 where trial_id = %(id)s order by number
"""
FIND = """
select t.id, t.study_id from trial t join study s on s.id = t.study_id
 where t.public_id = %(trial)s and s.project_id = %(project)s and s.deleted_at is null
"""


async def find_trial(connection: AsyncConnection[Any], project_id: int, reference: str) -> Row:
    """The private ids of a trial and of its study; raises NotFound."""
    return await _one(connection, FIND, project_id, reference)


async def read_trial(
    connection: AsyncConnection[Any], project_id: int, reference: str, storage: str
) -> Trial:
    """Everything about a trial; raises NotFound."""
    row = await _one(connection, ONE, project_id, reference)
    attempts = await fetch_all(connection, ATTEMPTS, {"id": row["id"]})
    return Trial(
        **_fields(row),
        message=row["message"],
        notes=row["notes"],
        attributes=row["attributes"] or {},
        attempts=[AttemptItem(**attempt) for attempt in attempts],
        checkpoint=_checkpoint(row, storage),
    )


def trial_item(row: Row) -> TrialItem:
    """A row of SELECT as it stands in a list."""
    return TrialItem(**_fields(row))


async def _one(
    connection: AsyncConnection[Any], statement: str, project_id: int, reference: str
) -> Row:
    if not TRIAL_ID.fullmatch(reference):
        raise NotFound(f"the project has no trial {reference!r:.160}")
    row = await fetch_one(connection, statement, {"trial": reference, "project": project_id})
    if row is None:
        raise NotFound(f"the project has no trial {reference!r:.160}")
    return row


_SAME = (
    "study",
    "number",
    "state",
    "config",
    "origin",
    "attempt",
    "last_step",
    "reason",
    "tags",
    "worker",
    "parent",
    "retry_of",
    "created_at",
    "started_at",
    "finished_at",
)


_DOCUMENTS = ("context", "values", "errors", "gradients")


def _fields(row: Row) -> dict[str, Any]:
    same = {name: row[name] for name in _SAME}
    documents = {name: row[name] or {} for name in _DOCUMENTS}
    return {**same, **documents, "id": row["public_id"]}


def _checkpoint(row: Row, storage: str) -> CheckpointOffer | None:
    if row["k_key"] is None:
        return None
    return CheckpointOffer(
        step=row["k_step"],
        key=row["k_key"],
        uri=f"{storage.rstrip('/')}/{row['k_key']}",
        size=row["k_size"],
        sha256=row["k_sha256"],
    )
