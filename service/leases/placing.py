"""Placing a trial among the others at a milestone, and storing what was decided there.

No lock is held between the two: the first statement reads how the trial stands, the second stores
the decision if nobody else did.  Of two reports that reach a milestone at once both may ask the
scheduler; one decides, and both answer with what was stored.
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from statistics import median
from typing import Any

from psycopg.types.json import Jsonb

from search.scheduler import MAX_STANDINGS, Continue, Decision, Standing, Standings, Stop
from service.leases.fence import Call
from service.leases.known import KnownTrial
from service.leases.planned import planned_stop, sooner
from service.leases.rows import fetch
from service.studies.spec import Spec

# From `mine` (the attempt, and the value that counts at the milestone) to how it stands.
PLACE = """
, placed as (
  insert into standing (study_id, bracket, step, number, attempt, loss)
  select %(study)s, %(bracket)s, %(until)s, %(number)s, attempt,
         case when value > '-Infinity' and value < 'Infinity'
              then case %(goal)s when 'minimize' then value else -value end
              else 'Infinity' end
    from mine
  on conflict (study_id, bracket, step, number) do update
     set attempt = excluded.attempt, loss = excluded.loss
  returning attempt, loss
), others as (
  select o.number, o.loss from standing o
   where o.study_id = %(study)s and o.bracket = %(bracket)s and o.step = %(until)s
     and o.number <> %(number)s and exists (select from mine)
   order by o.number desc limit %(most)s
), gathered as (
  select array_agg(number) as numbers, array_agg(loss) as losses from others
)
"""

# The first measurement at or past the milestone counts for it, with the best value up to there if
# the objective reads the best.  Only this attempt's own: an earlier one may have gone further.
REACHED = """
with l as (
  select trial_id, attempt from lease
   where trial_id = %(trial)s and lease_id = %(lease)s and until is not distinct from %(stored)s
), first as (
  select m.step, m.value, l.attempt from l, lateral (
    select step, value from metric
     where trial_id = l.trial_id and metric_id = %(metric)s and step >= %(until)s
       and attempt = l.attempt
     order by step limit 1) m
), mine as (
  select first.attempt,
         case %(read)s when 'last' then first.value else coalesce(
           (select case %(goal)s when 'minimize' then min(m.value) else max(m.value) end
              from metric m
             where m.trial_id = %(trial)s and m.metric_id = %(metric)s and m.step <= first.step
               and m.value > '-Infinity' and m.value < 'Infinity'), first.value) end as value
    from first
)
"""
FIND_PLACE = "".join(
    (REACHED, PLACE, "select attempt, loss, numbers, losses from placed cross join gathered")
)

DECIDE = """
with l as (
  update lease
     set until = %(next)s,
         request = case when %(stop)s then 'stop' else request end,
         request_reason = case when %(stop)s then %(reason)s else request_reason end
   where trial_id = %(trial)s and lease_id = %(lease)s and attempt = %(attempt)s
     and until is not distinct from %(stored)s
  returning trial_id, attempt
), logged as (
  insert into event (study_id, trial_id, kind, detail)
  select %(study)s, trial_id, 'trial_stop_requested',
         jsonb_build_object('by', 'scheduler', 'attempt', attempt, 'step', %(step)s::int,
                            'reason', %(reason)s::text)
    from l where %(stop)s
)
insert into decision (trial_id, attempt, step, kind, detail)
select trial_id, attempt, %(step)s, %(kind)s, %(detail)s from l
on conflict do nothing
returning step
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """Where a decision is due: the step, as the lease stores it, and the metric that is judged."""

    stored: int | None
    step: int
    metric_id: int


@dataclass(frozen=True, slots=True)
class Placed:
    """How a trial stands at a milestone: its own loss, and the numbers and losses of the others."""

    attempt: int
    loss: float
    numbers: list[int] | None
    losses: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A decision as it is stored and answered."""

    kind: str
    until: int | None
    reason: str | None


def place_values(call: Call, spec: Spec, place: Milestone) -> dict[str, Any]:
    """What PLACE and REACHED name."""
    objective, trial = spec.problem.objectives[0], call.trial
    return {
        **call.key,
        "stored": place.stored,
        "until": place.step,
        "metric": place.metric_id,
        "read": objective.read,
        "goal": objective.goal,
        "study": trial.study.id,
        "bracket": spec.scheduler.bracket(trial.number),
        "number": trial.number,
        "most": MAX_STANDINGS - 1,
    }


async def find_place(call: Call, spec: Spec, place: Milestone) -> Placed | None:
    """How the trial stands; None when it has not come so far, or somebody has decided."""
    values = place_values(call, spec, place)
    return await fetch(call.connection, Placed, FIND_PLACE, values, binary=True)


async def decide(call: Call, spec: Spec, place: Milestone, placed: Placed) -> Judged | None:
    """Ask the scheduler and store its decision; None when somebody else has decided meanwhile."""
    number = call.trial.number
    others = zip(placed.numbers or (), placed.losses or (), strict=True)
    entries = [_standing(*other) for other in others]
    entries.append(Standing(number=number, loss=placed.loss))
    decision = _decision(spec, Standings(step=place.step, entries=entries), call.trial)
    until = decision.until if isinstance(decision, Continue) else None
    values = {
        **call.key,
        "study": call.trial.study.id,
        "attempt": placed.attempt,
        "stored": place.stored,
        "next": until,
        "step": place.step,
        "stop": isinstance(decision, Stop),
        "kind": decision.kind,
        "reason": decision.reason,
        "detail": Jsonb(_detail(decision, until, placed)),
    }
    cursor = await call.connection.execute(DECIDE, values, prepare=True)
    if await cursor.fetchone() is None:
        return None
    return Judged(kind=decision.kind, until=until, reason=decision.reason)


def _decision(spec: Spec, standings: Standings, trial: KnownTrial) -> Decision:
    """The scheduler's decision, unless the trial has come as far as it was planned to."""
    stop = planned_stop(spec, trial, standings.step)
    if stop is not None:
        return stop
    decision = spec.scheduler.decide(standings, trial.number)
    if isinstance(decision, Continue):
        return replace(decision, until=sooner(decision.until, trial.planned))
    return decision


# The same thousand standings are read again at the next trial's milestone: making the objects anew
# each time took longer than the query (1.4 ms for a thousand; 0.1 ms from here).
@lru_cache(maxsize=2**17)
def _standing(number: int, loss: float) -> Standing:
    return Standing(number=number, loss=loss)


def _detail(decision: Decision, until: int | None, placed: Placed) -> dict[str, Any]:
    """What the scheduler saw, to be shown with the decision; JSON has no infinity."""
    others = sorted(placed.losses or ())
    middle = median(others) if others else None
    return {
        "until": until,
        "reason": decision.reason,
        "loss": placed.loss if isfinite(placed.loss) else None,
        "rank": 1 + bisect_left(others, placed.loss),
        "n": len(others) + 1,
        "median": middle if middle is not None and isfinite(middle) else None,
    }
