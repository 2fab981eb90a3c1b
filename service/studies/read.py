"""Studies as the API shows them."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from service.db.rows import Row, fetch_all, fetch_one
from service.preferences.read import favourites
from service.schemas.studies import (
    BestSummary,
    Counts,
    Managed,
    Study,
    StudyItem,
    Transferred,
)
from service.studies.budget import budget_of
from service.studies.completion import FEASIBLE
from service.studies.find import find_study, no_study
from service.studies.spec import OBJECTIVES, parse_spec
from service.studies.transfer import transferred

SELECT = """
select s.*, v.space, v.objectives, v.constraints, v.context, v.searcher, v.scheduler,
       n.version
  from study s
  join study_spec v on v.study_id = s.id and v.version = s.spec_version
  join study_counter n on n.study_id = s.id
"""
COUNTS = """
select study_id, state, count(*) as count from trial where study_id = any(%(studies)s)
 group by study_id, state
"""
# Two branches, of which one runs, so that the index on (study_id, objective, number) serves both.
BEST = f"""
select s.id as study_id, b.*
  from study s
  join study_spec v on v.study_id = s.id and v.version = s.spec_version
  cross join lateral (
      (select t.public_id, t.number, t.objective, t.config, t.context from trial t
        where t.study_id = s.id and t.state = 'completed' and {FEASIBLE}
          and v.objectives -> 0 ->> 'goal' = 'minimize'
        order by t.objective, t.number limit 1)
      union all
      (select t.public_id, t.number, t.objective, t.config, t.context from trial t
        where t.study_id = s.id and t.state = 'completed' and {FEASIBLE}
          and v.objectives -> 0 ->> 'goal' = 'maximize'
        order by t.objective desc, t.number limit 1)) b
 where s.id = any(%(studies)s) and jsonb_array_length(v.objectives) = 1
   and v.objectives -> 0 ->> 'by' is distinct from 'preference'
"""  # noqa: S608

# Of noisy objectives, once a model has been asked.
EXPECTED = """
select i.study_id, t.public_id, t.number, t.objective, t.config, t.context, 'posterior_mean' as by,
       (i.body ->> 'mean')::float8 as mean, (i.body ->> 'sd')::float8 as sd, i.seen
  from insight i
  join trial t on t.study_id = i.study_id and t.number = (i.body ->> 'number')::int
 where i.study_id = any(%(studies)s) and i.kind = 'best'
"""


async def read_study(connection: AsyncConnection[Any], project_id: int, reference: str) -> Study:
    """The study; raises NotFound."""
    found = await find_study(connection, project_id, reference)
    row = await fetch_one(connection, SELECT + " where s.id = %(id)s", {"id": found["id"]})
    if row is None:
        raise no_study(reference)
    counts, best = await _summaries(connection, [row["id"]])
    transfer = await transferred(connection, row["id"])
    return _study(row, counts.get(row["id"], Counts()), best.get(row["id"]), transfer)


async def study_items(connection: AsyncConnection[Any], rows: Sequence[Row]) -> list[StudyItem]:
    """The studies of these rows of SELECT, as they stand in a list."""
    counts, best = await _summaries(connection, [row["id"] for row in rows])
    return [_item(row, counts.get(row["id"], Counts()), best.get(row["id"])) for row in rows]


async def _summaries(
    connection: AsyncConnection[Any], studies: list[int]
) -> tuple[dict[int, Counts], dict[int, BestSummary]]:
    of = {"studies": studies}
    counts: dict[int, dict[str, int]] = {}
    for row in await fetch_all(connection, COUNTS, of):
        counts.setdefault(row["study_id"], {})[row["state"]] = row["count"]
    best = await best_summaries(connection, studies)
    return {study: Counts(**found) for study, found in counts.items()}, best


async def best_summaries(
    connection: AsyncConnection[Any], studies: list[int]
) -> dict[int, BestSummary]:
    """The best completed trial of each study that has one objective and such a trial.

    By preference it is the one that the answers speak for, and its value is its utility.
    """
    rows = await fetch_all(connection, BEST, {"studies": studies})
    rows += await fetch_all(connection, EXPECTED, {"studies": studies})
    rows += await favourites(connection, studies)
    return {row["study_id"]: _best(row) for row in rows}


def _best(row: Row) -> BestSummary:
    return BestSummary(
        trial=row["public_id"],
        number=row["number"],
        value=row["objective"],
        config=row["config"],
        context=row["context"] or {},
        **{name: row[name] for name in ("by", "mean", "sd", "seen") if name in row},
    )


def _managed(row: Row) -> Managed | None:
    return None if row["managed"] is None else Managed.model_validate(row["managed"])


_SAME = ("name", "state", "state_reason", "tags", "version", "created_at", "finished_at")
_ALSO = (
    "max_running",
    "max_attempts",
    "max_failed",
    "lease_seconds",
    "seed",
    "notes",
    "spec_version",
    "revision",
    "started_at",
)


def _study(
    row: Row, counts: Counts, best: BestSummary | None, transfer: list[Transferred]
) -> Study:
    spec = parse_spec(row["seed"], row)
    return Study(
        id=row["public_id"],
        space=spec.problem.space,
        objectives=list(spec.problem.objectives),
        constraints=list(spec.problem.constraints),
        context=list(spec.problem.context),
        searcher=spec.searcher,  # type: ignore[arg-type]
        scheduler=spec.scheduler,  # type: ignore[arg-type]
        budget=budget_of(row),
        managed=_managed(row),
        trials=counts,
        best=best,
        transfer=transfer,
        **{name: row[name] for name in (*_SAME, *_ALSO)},
    )


def _item(row: Row, counts: Counts, best: BestSummary | None) -> StudyItem:
    return StudyItem(
        id=row["public_id"],
        objectives=list(OBJECTIVES.validate_python(row["objectives"])),
        budget=budget_of(row),
        managed=_managed(row),
        trials=counts,
        best=best,
        **{name: row[name] for name in _SAME},
    )
