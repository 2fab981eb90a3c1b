"""Importing trials that ran elsewhere: they are learnt from, and stand outside the budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from search.problem import Problem
from search.values import Value
from service.errors import ConfigExists, InvalidRequest, LimitExceeded
from service.leases.metrics import MAX_METRICS, Measured, rows_of
from service.leases.results import Result, check_errors, check_told_gradients, result_of
from service.schemas.trials import Completed, Failed, ImportedTrial, Infeasible, Stopped
from service.trials.context import check_context, stored
from service.trials.enqueue import Place, check_configs, check_new, take_numbers
from service.trials.identity import config_hash, new_trial_id

ORIGIN = {"by": "import"}

INSERT = """
with made as (
  insert into trial (public_id, study_id, number, spec_version, state, config, context,
                     config_hash, replicate, origin, values, errors, gradients, objective, reason,
                     tags, changed_version, finished_at)
  values (%(public)s, %(study)s, %(number)s, %(spec)s, %(state)s, %(config)s, %(context)s,
          %(hash)s, %(replicate)s, %(origin)s, %(values)s, %(errors)s, %(gradients)s, %(objective)s,
          %(reason)s, %(tags)s, %(version)s, clock_timestamp())
  returning id, study_id
), stored as (
  insert into metric (trial_id, metric_id, step, attempt, value, elapsed)
  select made.id, p.metric_id, p.step, 0, p.value, p.elapsed
    from made, unnest(%(metrics)s::int2[], %(steps)s::int4[], %(points)s::float8[],
                      %(elapsed)s::float8[]) as p (metric_id, step, value, elapsed)
)
insert into event (study_id, trial_id, kind, detail)
select study_id, id, %(kind)s, '{"imported": true}' from made
"""
# Serialised by the study's counter, which the caller holds: no two imports pick the same id.
NAMES = "select name, id from metric_name where study_id = %s"
NEW_NAMES = """
insert into metric_name (study_id, id, name)
select %(study)s, coalesce((select max(id) from metric_name where study_id = %(study)s), 0) + n,
       name
  from unnest(%(names)s::text[]) with ordinality as u(name, n)
on conflict do nothing
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The study that receives the trials."""

    id: int
    spec_version: int
    problem: Problem


async def import_trials(
    connection: AsyncConnection[Any],
    study: Study,
    trials: Sequence[ImportedTrial],
    *,
    replicate: bool,
) -> list[Place]:
    """Add ended trials in the caller's transaction, in the order given.

    Raises InvalidRequest for a config outside the space or a completed trial without an objective,
    ConfigExists (unless `replicate`), LimitExceeded for too many metrics.
    """
    configs = check_configs(
        study.problem.space, [trial.config for trial in trials], "trials.{}.config"
    )
    contexts = [
        check_context(study.problem.context, trial.context, f"trials.{place}.context")
        for place, trial in enumerate(trials)
    ]
    results = [
        _result(study.problem, trial, config, place)
        for place, (trial, config) in enumerate(zip(trials, configs, strict=True))
    ]
    hashes = [config_hash(*pair) for pair in zip(configs, contexts, strict=True)]
    if not replicate:
        await check_new(connection, study.id, hashes)
    first, version = await take_numbers(connection, study.id, hashes, finished=len(trials))
    ids = await _metric_ids(connection, study.id, trials)
    shared = {"study": study.id, "spec": study.spec_version, "version": version}
    rows = [
        _row(trial, config, result, ids)
        | shared
        | {"number": number, "hash": digest, "replicate": replicate, "context": stored(context)}
        for number, (trial, config, context, result, digest) in enumerate(
            zip(trials, configs, contexts, results, hashes, strict=True), first
        )
    ]
    try:
        async with connection.cursor() as cursor:
            await cursor.executemany(INSERT, rows)
    except UniqueViolation:
        raise ConfigExists("two of the trials, or the study, have the same config") from None
    return [Place(row["public"], row["number"]) for row in rows]


def _result(
    problem: Problem, trial: ImportedTrial, config: Mapping[str, Value], place: int
) -> Result:
    measured: dict[str, float] = {}
    for measurement in sorted(trial.measurements, key=lambda m: m.step):
        measured.update(measurement.values)
    _check_state(trial, f"trials.{place}")
    check_errors(trial.errors, {**measured, **trial.values}, f"trials.{place}.errors")
    check_told_gradients(problem, config, trial.gradients, f"trials.{place}.gradients")
    outcomes: Mapping[str, Completed | Stopped | Infeasible | Failed] = {
        "completed": Completed(values=trial.values, errors=trial.errors, gradients=trial.gradients),
        "stopped": Stopped(values=trial.values, reason=trial.reason),
        "infeasible": Infeasible(reason=trial.reason or "infeasible"),
        "failed": Failed(),
    }
    try:
        return result_of(problem, outcomes[trial.state], measured, config)
    except InvalidRequest as error:
        raise InvalidRequest.at(f"trials.{place}.values", error.detail) from None


def _check_state(trial: ImportedTrial, field: str) -> None:
    for name in ("errors", "gradients"):
        if getattr(trial, name) and trial.state != "completed":
            message = f"only a completed trial has them, not a {trial.state} one"
            raise InvalidRequest.at(f"{field}.{name}", message)


def _row(
    trial: ImportedTrial, config: Mapping[str, Value], result: Result, ids: Mapping[str, int]
) -> dict[str, Any]:
    measured = [
        Measured(step=m.step, values=m.values, elapsed_seconds=m.elapsed_seconds)
        for m in trial.measurements
    ]
    points = rows_of(measured, ids)
    return {
        "public": new_trial_id(),
        "state": result.state.value,
        "kind": f"trial_{result.state.value}",
        "config": Jsonb(dict(config)),
        "origin": Jsonb(ORIGIN),
        "values": Jsonb(result.wire_values()),
        "errors": Jsonb(dict(result.errors)) if result.errors else None,
        "gradients": Jsonb(dict(result.gradients)) if result.gradients else None,
        "objective": result.objective,
        "reason": trial.reason or result.reason,
        "tags": trial.tags,
        "metrics": points.metric_ids,
        "steps": points.steps,
        "points": points.values,
        "elapsed": points.elapsed,
    }


async def _metric_ids(
    connection: AsyncConnection[Any], study_id: int, trials: Sequence[ImportedTrial]
) -> dict[str, int]:
    wanted = dict.fromkeys(
        name
        for trial in trials
        for measurement in trial.measurements
        for name in measurement.values
    )
    while True:
        rows = await (await connection.execute(NAMES, (study_id,))).fetchall()
        known: dict[str, int] = dict(rows)
        missing = [name for name in wanted if name not in known]
        if not missing:
            return known
        if len(known) + len(missing) > MAX_METRICS:
            raise LimitExceeded(f"a study has at most {MAX_METRICS} metrics")
        await connection.execute(NEW_NAMES, {"study": study_id, "names": missing})
