"""What a trial has measured, and what its worker's last word makes of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from psycopg import AsyncConnection

from search.errors import InvalidConfig
from search.gradients import check_gradients
from search.problem import Objective, Problem
from search.trial import TrialState
from search.values import Config, Value
from service.errors import InvalidRequest
from service.leases.rows import fetch
from service.schemas.base import write_number
from service.schemas.trials import Completed, Failed, Infeasible, Stopped

Outcome: TypeAlias = Completed | Stopped | Infeasible | Failed

# `reach` is the last step of the latest attempt, or of the checkpoint that it went on from: what an
# earlier attempt measured beyond it does not count.
READ = """
select t.state, t.attempt, t.told_by, t.tell_hash, t.reason, t.values, t.config,
       t.last_lease_id is not distinct from %(lease)s as latest,
       l.expires_at, l.request, r.reach, coalesce(v.names, '{}') as names,
       coalesce(v.measured, '{}') as measured
  from trial t
  left join lease l on l.trial_id = t.id and l.lease_id = %(lease)s
  left join checkpoint c on c.id = t.checkpoint_id
  cross join lateral (
    select coalesce(greatest(
      case when l.trial_id is not null then l.last_step
           else (select max(step) from metric m where m.trial_id = t.id and m.attempt = t.attempt)
      end, c.step), -1) as reach) r
  left join lateral (
    select array_agg(n.name order by n.id) as names, array_agg(m.value order by n.id) as measured
      from metric_name n cross join lateral (
        select case
            when n.name = any(%(lowest)s) then coalesce((
              select min(value) from metric
               where trial_id = t.id and metric_id = n.id
                 and (attempt = t.attempt or step <= r.reach)
                 and value > '-Infinity' and value < 'Infinity'), x.value)
            when n.name = any(%(highest)s) then coalesce((
              select max(value) from metric
               where trial_id = t.id and metric_id = n.id
                 and (attempt = t.attempt or step <= r.reach)
                 and value > '-Infinity' and value < 'Infinity'), x.value)
            else x.value end as value
          from (select value from metric
                 where trial_id = t.id and metric_id = n.id
                   and (attempt = t.attempt or step <= r.reach)
                 order by step desc limit 1) x) m
     where n.study_id = t.study_id) v on true
 where t.id = %(trial)s
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """A trial, the lease in question, and all that it measured."""

    state: str
    attempt: int
    told_by: UUID | None
    tell_hash: bytes | None
    reason: str | None
    values: dict[str, float | str] | None
    config: dict[str, Value]
    latest: bool  # the lease is the latest one that the trial had
    expires_at: datetime | None  # None: the lease is not held
    request: str | None
    reach: int
    names: list[str]
    measured: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a trial comes to."""

    state: TrialState
    reason: str | None
    message: str | None
    values: Mapping[str, float]
    objective: float | None
    errors: Mapping[str, float] = field(default_factory=dict)
    gradients: Mapping[str, float] = field(default_factory=dict)

    def wire_values(self) -> dict[str, float | str]:
        """The values as JSON holds them."""
        return {name: write_number(value) for name, value in self.values.items()}


async def read_progress(
    connection: AsyncConnection[Any], problem: Problem, trial_id: int, lease_id: UUID
) -> Progress | None:
    """How far the trial has come; None when it is gone."""
    best = [objective for objective in problem.objectives if objective.read == "best"]
    values = {
        "trial": trial_id,
        "lease": lease_id,
        "lowest": [objective.metric for objective in best if objective.goal == "minimize"],
        "highest": [objective.metric for objective in best if objective.goal == "maximize"],
    }
    return await fetch(connection, Progress, READ, values)


def result_of(
    problem: Problem, outcome: Outcome, measured: Mapping[str, float], config: Config
) -> Result:
    """What the outcome makes of the trial: its values are those told, else those measured.

    A completed trial with an objective that is not finite is infeasible.  Raises InvalidRequest
    when a completed trial has no value at all for an objective, or an error of a value that it has
    not, or derivatives that its study or its config cannot have.  By preference it needs no value,
    and one under the objective's name does not count.
    """
    told = outcome.values if isinstance(outcome, Completed | Stopped) else {}
    values = {**measured, **told}
    errors = outcome.errors if isinstance(outcome, Completed) else {}
    check_errors(errors, values, "outcome.errors")
    gradients = outcome.gradients if isinstance(outcome, Completed) else {}
    check_told_gradients(problem, config, gradients, "outcome.gradients")
    state, reason = TrialState(outcome.kind), getattr(outcome, "reason", None)
    if isinstance(outcome, Completed):
        needed = [] if problem.by_preference else problem.objectives
        _check_complete(needed, values)
        if not all(math.isfinite(values[o.metric]) for o in needed):
            state, reason = TrialState.INFEASIBLE, "non_finite"
    first = values.get(problem.objectives[0].metric, math.nan)
    counts = state in (TrialState.COMPLETED, TrialState.STOPPED) and math.isfinite(first)
    counts = counts and not problem.by_preference
    return Result(
        state=state,
        reason=reason,
        message=getattr(outcome, "message", None),
        values=values,
        objective=first if counts else None,
        errors=errors,
        gradients=gradients,
    )


def check_errors(errors: Mapping[str, float], values: Mapping[str, float], field: str) -> None:
    """Raise InvalidRequest for a standard error of a metric that has no value."""
    strays = [name for name in errors if name not in values]
    if strays:
        problems = [
            {"in": "body", "field": f"{field}.{name}", "message": "has no value", "kind": "stray"}
            for name in strays
        ]
        text = f"{field}: {', '.join(strays)} has no value of which this could be the error"
        raise InvalidRequest(text, errors=problems)


def check_told_gradients(
    problem: Problem, config: Config, gradients: Mapping[str, float], field: str
) -> None:
    """Raise InvalidRequest for derivatives that a trial of this config cannot have."""
    try:
        check_gradients(problem, config, gradients)
    except InvalidConfig as error:
        name = f"{field}.{error.parameter}" if error.parameter else field
        problems = [{"in": "body", "field": name, "message": str(error), "kind": "gradient"}]
        raise InvalidRequest(f"{name}: {error}", errors=problems) from None


def _check_complete(objectives: Sequence[Objective], values: Mapping[str, float]) -> None:
    missing = [objective.metric for objective in objectives if objective.metric not in values]
    if missing:
        errors = [
            {
                "in": "body",
                "field": f"outcome.values.{name}",
                "message": "needed",
                "kind": "missing",
            }
            for name in missing
        ]
        names = ", ".join(missing)
        raise InvalidRequest(
            f"outcome.values: {names} was neither told nor ever reported", errors=errors
        )
