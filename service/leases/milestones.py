"""Judging a trial at its milestones.

Two statements, and no lock held in between: the first reads how the trial stands among the others,
the second stores the decision if nobody else did.  Of two reports that reach a milestone at once,
both may ask the scheduler; one decides, and both answer with what was stored.
"""

import math
from dataclasses import dataclass
from statistics import median
from typing import Any

from psycopg.types.json import Jsonb

from search.scheduler import MAX_STANDINGS, Continue, Decision, Standing, Standings, Stop
from service.leases.claim import FIRST
from service.leases.fence import Call
from service.studies.spec import Spec

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
), placed as (
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
)
select placed.attempt, placed.loss,
       array(select number from others), array(select loss from others)
  from placed
"""

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

LATEST = """
select d.kind, d.detail from decision d
 where d.trial_id = %(trial)s and d.attempt = %(attempt)s and d.step <= %(step)s
 order by d.step desc limit 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A decision as it is stored and answered."""

    kind: str
    until: int | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """Where a decision is due: the step, as the lease stores it, and the metric that is judged."""

    stored: int | None
    step: int
    metric_id: int


def milestone(stored: int | None, spec: Spec, number: int) -> int | None:
    """The milestone that `lease.until` holds."""
    return spec.scheduler.first_step(number) if stored == FIRST else stored


async def judge(
    call: Call, spec: Spec, metric_id: int, *, stored: int | None, last_step: int
) -> Judged | None:
    """Decide at every milestone that the stored measurements have reached, up to `last_step`.

    The last decision, or None when none was due or somebody else has decided in the meantime.
    """
    judged: Judged | None = None
    until = milestone(stored, spec, call.trial.number)
    while until is not None and until <= last_step:
        place = Milestone(stored=stored, step=until, metric_id=metric_id)
        standings = await _standings(call, spec, place)
        if standings is None:
            return judged
        attempt, entries = standings
        decision = spec.scheduler.decide(entries, call.trial.number)
        judged = await _store(call, place, decision, entries, attempt)
        if judged is None:
            return None
        stored = until = judged.until
    return judged


async def latest(call: Call, *, attempt: int, step: int) -> Judged | None:
    """What the attempt was told at its last milestone up to a step."""
    values = {"trial": call.trial.id, "attempt": attempt, "step": step}
    row = await (await call.connection.execute(LATEST, values)).fetchone()
    if row is None:
        return None
    return Judged(kind=row[0], until=row[1].get("until"), reason=row[1].get("reason"))


async def _standings(call: Call, spec: Spec, place: Milestone) -> tuple[int, Standings] | None:
    """The attempt and how it stands; None when it has not come so far or somebody has decided."""
    objective, trial = spec.problem.objectives[0], call.trial
    values = {
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
    async with call.connection.cursor(binary=True) as cursor:
        await cursor.execute(REACHED, values, prepare=True)
        row = await cursor.fetchone()
    if row is None:
        return None
    attempt, loss, numbers, losses = row
    entries = [Standing(number=n, loss=x) for n, x in zip(numbers, losses, strict=True)]
    entries.append(Standing(number=trial.number, loss=loss))
    return attempt, Standings(step=place.step, entries=entries)


async def _store(
    call: Call, place: Milestone, decision: Decision, standings: Standings, attempt: int
) -> Judged | None:
    """Store the decision; None when somebody else has decided in the meantime."""
    until = decision.until if isinstance(decision, Continue) else None
    values = {
        **call.key,
        "study": call.trial.study.id,
        "attempt": attempt,
        "stored": place.stored,
        "next": until,
        "step": place.step,
        "stop": isinstance(decision, Stop),
        "kind": decision.kind,
        "reason": decision.reason,
        "detail": Jsonb(_detail(decision, until, standings, call.trial.number)),
    }
    cursor = await call.connection.execute(DECIDE, values, prepare=True)
    if await cursor.fetchone() is None:
        return None
    return Judged(kind=decision.kind, until=until, reason=decision.reason)


def _detail(
    decision: Decision, until: int | None, standings: Standings, number: int
) -> dict[str, Any]:
    """What the scheduler saw, to be shown with the decision; JSON has no infinity."""
    loss = standings.loss(number)
    others = [entry.loss for entry in standings.entries if entry.number != number]
    finite = [other for other in others if math.isfinite(other)]
    return {
        "until": until,
        "reason": decision.reason,
        "loss": loss if math.isfinite(loss) else None,
        "rank": 1 + sum(other < loss for other in others),
        "n": len(others) + 1,
        "median": median(finite) if finite else None,
    }
