"""Making a study: its rows, and the configs that it begins with."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from search.errors import Path, SearchError
from search.problem import Problem
from search.schedulers.full import Full
from search.searcher import objections_to
from search.space import SearchSpace
from search.values import Value, canonical_json
from service.errors import InvalidRequest, StudyExists, UnsupportedStudy
from service.events.log import log
from service.http.fields import dotted
from service.ids import STUDY_ID, new_study_id
from service.insights.store import keep_best
from service.schemas.studies import Budget, StudyCreate
from service.studies.budget import budget_values, check_budget
from service.studies.spec import Spec, dump_spec
from service.studies.transfer import Taken, store_earlier, take_earlier
from service.trials.enqueue import check_configs, enqueue

NO_FLEET = "the fleet cannot run a study with a context: its asks have none to give"
SEED_BITS = 53  # what a JSON number holds exactly

TAKEN_NAME = "select 1 from study where project_id = %s and name = %s and deleted_at is null"
INSERT = """
with made as (
    insert into study (public_id, project_id, name, seed, notes, tags, budget_trials, budget_hours,
                       budget_target, budget_gain, budget_patience, max_running, max_attempts,
                       max_failed, lease_seconds, managed)
    values (%(public_id)s, %(project)s, %(name)s, %(seed)s, %(notes)s, %(tags)s, %(trials)s,
            %(hours)s, %(target)s, %(min_expected_gain)s, %(patience)s, %(max_running)s,
            %(max_attempts)s, %(max_failed)s, %(lease_seconds)s, %(managed)s)
    returning id
), spec as (
    insert into study_spec (study_id, version, space, objectives, constraints, context, searcher,
                            scheduler)
    select id, 1, %(space)s, %(objectives)s, %(constraints)s, %(context)s, %(searcher)s,
           %(scheduler)s from made
), counter as (
    insert into study_counter (study_id) select id from made
), names as (
    insert into metric_name (study_id, id, name)
    select id, place, metric from made, unnest(%(metrics)s::text[]) with ordinality m(metric, place)
)
select id from made
"""


async def create_study(connection: AsyncConnection[Any], project_id: int, body: StudyCreate) -> str:
    """Make the study in the caller's transaction, and return its public id.

    Trial 0 runs the defaults, if every parameter has one; then come the configs of `first`.
    Raises InvalidRequest, UnsupportedStudy, StudyExists.
    """
    spec, taken = await _with_earlier(connection, project_id, body, _spec(body))
    configs = _first(spec.problem.space, body)
    public_id = new_study_id()
    try:
        row = await (
            await connection.execute(INSERT, _values(body, spec, project_id, public_id))
        ).fetchone()
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name != "uq_study_project_id_name":
            raise
        raise _exists(body.name) from None
    assert row is not None
    await store_earlier(connection, row[0], taken)
    await log(connection, row[0], None, "study_created", {"name": body.name})
    objective = spec.problem.objectives[0]
    if objective.noisy:
        await keep_best(connection, row[0], objective.metric)
    for origin, wanted in configs:
        if wanted:
            await enqueue(connection, row[0], wanted, replicate=False, origin={"by": origin})
    return public_id


def _exists(name: str) -> StudyExists:
    return StudyExists(f"the project has a study named {name!r}")


def _spec(body: StudyCreate) -> Spec:
    if STUDY_ID.fullmatch(body.name):
        raise _wrong("name", "a name may not look like a study's id")
    try:
        problem = Problem(
            space=body.space,
            objectives=body.objectives,
            constraints=body.constraints,
            context=body.context,
            seed=secrets.randbits(SEED_BITS) if body.seed is None else body.seed,
        )
    except SearchError as error:
        raise _wrong(error.at, error.reason) from None
    if problem.by_preference:
        _check_preference(body)
    return _supported(
        Spec(problem=problem, searcher=body.searcher, scheduler=body.scheduler), body.budget
    )


async def _with_earlier(
    connection: AsyncConnection[Any], project_id: int, body: StudyCreate, spec: Spec
) -> tuple[Spec, list[Taken]]:
    """The spec with what earlier studies teach; refused where the searcher has no use for it."""
    if not body.transfer:
        return spec, []
    # Said first: a script that is run again may outlive what it learned from.
    found = await connection.execute(TAKEN_NAME, (project_id, body.name))
    if await found.fetchone():
        raise _exists(body.name)
    taken = await take_earlier(connection, project_id, body.transfer, spec.problem)
    problem = replace(spec.problem, earlier=[entry.study for entry in taken])
    return _supported(replace(spec, problem=problem), body.budget), taken


def _supported(spec: Spec, budget: Budget) -> Spec:
    if spec.searcher.planned_steps() is not None and not isinstance(spec.scheduler, Full):
        reason = (
            f"searcher {spec.searcher.kind_of()!r} plans how far each trial runs, and scheduler "
            f'{spec.scheduler.kind_of()!r} would stop them on its own: use "full"'
        )
        problem = {"in": "body", "field": "scheduler", "message": reason}
        raise UnsupportedStudy(reason, errors=[problem])
    if found := objections_to(spec.problem, spec.searcher):
        reasons = "; ".join(objection.reason for objection in found)
        errors = [
            {"in": "body", "field": dotted(("searcher", *each.at)), "message": each.reason}
            for each in found
        ]
        raise UnsupportedStudy(f"searcher {spec.searcher.kind_of()!r}: {reasons}", errors=errors)
    check_budget(budget, spec)
    return spec


def _check_preference(body: StudyCreate) -> None:
    if body.scheduler.kind not in {"auto", "full"}:
        raise _wrong("scheduler", "a study by preference has no metric to judge trials by")
    if body.budget.target is not None:
        raise _wrong("budget.target", "a study by preference has no value to reach")
    if body.transfer:
        raise _wrong("transfer", "preferences are learned without earlier studies")


def _first(space: SearchSpace, body: StudyCreate) -> list[tuple[str, list[dict[str, Value]]]]:
    """The configs to begin with, by who proposed them, no two of them alike.

    A study with a context begins with none: whose context should they have?
    """
    if body.context:
        return _no_first(body)
    room = body.budget.trials or 10**9
    if len(body.first) > room:
        raise _wrong("first", f"{len(body.first)} configs exceed the budget of {room} trials")
    first = check_configs(space, body.first, "first.{}")
    seen: dict[str, int] = {}
    for place, config in enumerate(first):
        earlier = seen.setdefault(canonical_json(config), place)
        if earlier != place:
            raise _wrong(f"first.{place}", f"is the same config as first.{earlier}")
    defaults = space.defaults()
    if defaults is None or (len(first) >= room and canonical_json(defaults) not in seen):
        return [("user", first)]
    others = [config for config in first if canonical_json(config) != canonical_json(defaults)]
    return [("defaults", [defaults]), ("user", others)]


def _no_first(body: StudyCreate) -> list[tuple[str, list[dict[str, Value]]]]:
    if body.first:
        raise _wrong("first", "in a study with a context, enqueue configs with their context")
    if body.managed is not None:
        raise _wrong("managed", NO_FLEET)
    return []


def _values(body: StudyCreate, spec: Spec, project_id: int, public_id: str) -> Mapping[str, object]:
    metrics = [o.metric for o in spec.problem.objectives]
    metrics += [c.metric for c in spec.problem.constraints]
    documents = {
        name: None if document is None else Jsonb(document)
        for name, document in dump_spec(spec).items()
    }
    return {
        **documents,
        "public_id": public_id,
        "project": project_id,
        "name": body.name,
        "seed": spec.problem.seed,
        "notes": body.notes,
        "tags": body.tags,
        **budget_values(body.budget),
        "max_running": body.max_running,
        "max_attempts": body.max_attempts,
        "max_failed": body.max_failed,
        "lease_seconds": body.lease_seconds,
        "managed": body.managed and Jsonb(body.managed.model_dump(mode="json")),
        "metrics": list(dict.fromkeys(metrics)),
    }


def _wrong(path: str | Path, message: str) -> InvalidRequest:
    return InvalidRequest.at(path if isinstance(path, str) else dotted(path), message)
