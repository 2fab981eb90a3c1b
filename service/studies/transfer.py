"""Earlier studies that a study learns from: their results are copied when it is made.

A copy, and not a reference: a suggestion depends on its own study's history alone, whatever becomes
of the earlier ones, and the same batch computed again gives the same suggestions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from search.earlier import EarlierStudy
from search.errors import InvalidProblem
from search.problem import Objective, Problem
from search.snapshot import snapshot
from search.trial import Measurement, Trial, TrialState
from service.db.rows import Row, fetch_all
from service.errors import InvalidRequest, NotFound
from service.schemas.base import NON_FINITE
from service.schemas.studies import Transferred
from service.studies.find import find_study
from service.studies.spec import Spec, load_spec

# A bounded part of a study, however large: its best results, and others drawn with the seed.  Of
# the measurements those of the objective come along, which tell what stopped trials stopped at.
BEST, DRAWN, MOST_STEPS = 200, 400, 1000
RESULTS = """
with finished as (
  select id, number, config, state, values, (values ->> %(metric)s)::float8 * %(sign)s as loss
    from trial
   where study_id = %(study)s and state in ('completed', 'stopped', 'infeasible', 'failed')
), chosen as (
  (select id from finished where state in ('completed', 'stopped')
    order by loss nulls last, number limit %(best)s)
  union
  (select id from finished order by md5(number || ' ' || %(seed)s), number limit %(drawn)s)
)
select c.number, c.config, c.state, c.values, curve.steps, curve.points
  from finished c join chosen using (id)
  left join lateral (
    select array_agg(m.step order by m.step) as steps, array_agg(m.value order by m.step) as points
      from (select step, value from metric
             where trial_id = c.id
               and metric_id = (select id from metric_name
                                 where study_id = %(study)s and name = %(metric)s)
             limit %(most)s) m
  ) curve on c.state in ('completed', 'stopped')
 order by c.number
"""
STORE = """
insert into study_earlier (study_id, position, public_id, name, points, parameters, configs, losses)
values (%(study)s, %(position)s, %(public_id)s, %(name)s, %(points)s, %(parameters)s, %(configs)s,
        %(losses)s)
"""
LOAD = """
select name, parameters, configs, losses from study_earlier
 where study_id = %(study)s order by position
"""
SHOW = """
select public_id as study, name, points from study_earlier
 where study_id = %(study)s order by position
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken over from a study, and that study's id."""

    public_id: str
    study: EarlierStudy


async def take_earlier(
    connection: AsyncConnection[Any], project_id: int, references: Sequence[str], problem: Problem
) -> list[Taken]:
    """Snapshots of the studies for a new problem; raises InvalidRequest, naming the culprit."""
    taken: list[Taken] = []
    for place, reference in enumerate(references):
        try:
            found = await find_study(connection, project_id, reference)
        except NotFound as error:
            raise _wrong(place, str(error)) from None
        if any(found["public_id"] == entry.public_id for entry in taken):
            raise _wrong(place, f"{reference!r} is given twice")
        earlier = (await load_spec(connection, found["id"], found["spec_version"])).problem
        try:
            trials = await _results(connection, found["id"], problem)
            study = snapshot(found["name"], earlier, trials, problem)
        except InvalidProblem as error:
            raise _wrong(place, str(error)) from None
        taken.append(Taken(found["public_id"], study))
    return taken


async def store_earlier(
    connection: AsyncConnection[Any], study_id: int, taken: Sequence[Taken]
) -> None:
    """Keep the snapshots with the study that was made."""
    for position, entry in enumerate(taken):
        values = {
            "study": study_id,
            "position": position,
            "public_id": entry.public_id,
            "name": entry.study.name,
            "points": len(entry.study.losses),
            "parameters": Jsonb(list(entry.study.parameters)),
            "configs": Jsonb([dict(config) for config in entry.study.configs]),
            "losses": Jsonb(list(entry.study.losses)),
        }
        await connection.execute(STORE, values)


async def with_earlier(connection: AsyncConnection[Any], study_id: int, spec: Spec) -> Spec:
    """The spec with the snapshots that were kept: only searchers need them."""
    rows = await fetch_all(connection, LOAD, {"study": study_id})
    earlier = [EarlierStudy(**row) for row in rows]
    return replace(spec, problem=replace(spec.problem, earlier=earlier)) if earlier else spec


async def transferred(connection: AsyncConnection[Any], study_id: int) -> list[Transferred]:
    """What the study learns from, without the results."""
    rows = await fetch_all(connection, SHOW, {"study": study_id})
    return [Transferred(**row) for row in rows]


async def _results(
    connection: AsyncConnection[Any], study_id: int, problem: Problem
) -> list[Trial]:
    objective = problem.objectives[0]
    values = {
        "study": study_id,
        "metric": objective.metric,
        "sign": Objective(metric=objective.metric, goal=objective.goal).loss(1.0),
        "seed": problem.seed,
        "best": BEST,
        "drawn": DRAWN,
        "most": MOST_STEPS + 1,
    }
    rows = await fetch_all(connection, RESULTS, values)
    return [_trial(row, objective.metric) for row in rows]


def _trial(row: Row, metric: str) -> Trial:
    steps, points = row["steps"] or [], row["points"] or []
    whole = len(steps) <= MOST_STEPS
    return Trial(
        number=row["number"],
        config=row["config"],
        state=TrialState(row["state"]),
        measurements=[
            Measurement(step=step, values={metric: value})
            for step, value in zip(steps, points, strict=True)
            if whole
        ],
        values={name: _number(value) for name, value in (row["values"] or {}).items()},
    )


def _number(value: float | str) -> float:
    return NON_FINITE[value] if isinstance(value, str) else float(value)


def _wrong(place: int, message: str) -> InvalidRequest:
    field = f"transfer.{place}"
    problem = {"in": "body", "field": field, "message": message}
    return InvalidRequest(f"{field}: {message}", errors=[problem])
