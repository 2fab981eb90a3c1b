"""Measurements over steps, thinned so that a chart stays small however long a trial ran.

The points of a trial are cut into buckets of equal count, and each bucket keeps its lowest and its
highest point: a spike is never lost, and the same points give the same curve each time.  Points
that are not finite are kept only where nothing else is; the first and the last point always are.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated, Any

from psycopg import AsyncConnection
from pydantic import Field

from service.db.rows import Row, fetch_all
from service.http.params import Params
from service.schemas.studies import Curve, Curves
from service.schemas.trials import Measurements, MetricSeries

Points = Annotated[int, Field(ge=4, le=1_000, description="at most so many for each curve")]
Metric = Annotated[str, Field(min_length=1, max_length=128)]

# `points` becomes buckets of two points each, next to the first and the last.
THIN = """
, placed as (
    select p.*, row_number() over (partition by place order by step) - 1 as i,
           count(*) over (partition by place) as total,
           value in ('NaN', 'Infinity', '-Infinity') as wild
      from points p
), cut as (
    select p.*, i * ((%(points)s - 2) / 2) / total as bucket from placed p
), ranked as (
    select c.*,
           row_number() over (partition by place, bucket order by wild, value, step) as low,
           row_number() over (partition by place, bucket order by wild, value desc, step) as high
      from cut c
)
select place, step, value, attempt, elapsed, total from ranked
 where total <= %(points)s or low = 1 or high = 1 or i in (0, total - 1)
 order by place, step
"""
# place: the metric's id
OF_TRIAL = f"""
with points as (
    select metric_id as place, step, value, attempt, elapsed from metric
     where trial_id = %(trial)s and metric_id = any(%(metrics)s)
) {THIN}
"""  # noqa: S608
# place: the trial's id
OF_STUDY = f"""
with points as (
    select trial_id as place, step, value, attempt, elapsed from metric
     where trial_id = any(%(trials)s) and metric_id = %(metric)s
) {THIN}
"""  # noqa: S608
NAMES = """
select id, name from metric_name
 where study_id = %(study)s and (%(names)s::text[] is null or name = any(%(names)s)) order by id
"""
# Metric 1 is the first objective's.
FIRST = "select id, name from metric_name where study_id = %(study)s order by id limit 1"
LATEST = """
select id, public_id, number, state from trial
 where study_id = %(study)s and state <> 'queued'
 order by number desc limit %(limit)s
"""


class SeriesQuery(Params):
    """Which metrics of a trial; all of them when none is named."""

    metric: Annotated[Sequence[Metric], Field(max_length=200)] = ()
    points: Points = 200


class CurveQuery(Params):
    """Which curves of a study; of the first objective when no metric is named."""

    metric: Metric | None = None
    points: Points = 200
    limit: Annotated[int, Field(ge=1, le=200, description="the latest so many trials")] = 50


async def trial_series(
    connection: AsyncConnection[Any], *, study_id: int, trial_id: int, query: SeriesQuery
) -> Measurements:
    """The trial's metrics, each as a series."""
    values = {"study": study_id, "names": list(query.metric) or None}
    names = {row["id"]: row["name"] for row in await fetch_all(connection, NAMES, values)}
    rows = await fetch_all(
        connection,
        OF_TRIAL,
        {"trial": trial_id, "metrics": list(names), "points": query.points},
    )
    return Measurements(
        series=[
            MetricSeries(
                metric=names[place],
                steps=[row["step"] for row in points],
                values=[row["value"] for row in points],
                attempts=[row["attempt"] for row in points],
                elapsed_seconds=[row["elapsed"] for row in points],
                total=points[0]["total"],
            )
            for place, points in _places(rows)
        ]
    )


async def study_curves(
    connection: AsyncConnection[Any], *, study_id: int, query: CurveQuery
) -> Curves:
    """A curve for each of the latest trials that have begun, the latest first."""
    statement = NAMES if query.metric else FIRST
    named = await fetch_all(connection, statement, {"study": study_id, "names": [query.metric]})
    if not named:
        return Curves(items=[])
    trials = await fetch_all(connection, LATEST, {"study": study_id, "limit": query.limit})
    values = {
        "trials": [trial["id"] for trial in trials],
        "metric": named[0]["id"],
        "points": query.points,
    }
    points = dict(_places(await fetch_all(connection, OF_STUDY, values)))
    return Curves(
        items=[_curve(trial, named[0]["name"], points.get(trial["id"], [])) for trial in trials]
    )


def _curve(trial: Row, metric: str, points: list[Row]) -> Curve:
    return Curve(
        trial=trial["public_id"],
        number=trial["number"],
        state=trial["state"],
        metric=metric,
        steps=[row["step"] for row in points],
        values=[row["value"] for row in points],
        total=points[0]["total"] if points else 0,
    )


def _places(rows: Sequence[Row]) -> Iterator[tuple[int, list[Row]]]:
    for place, points in groupby(rows, key=lambda row: row["place"]):
        yield place, list(points)
