"""When a study is complete: its trials, its hours, its target, its whole space, little to gain."""

from typing import Any

from psycopg import AsyncConnection

from service.events.log import log

# Constraints are data, so the same text serves every study.  Postgres holds NaN to be greater than
# Infinity, so that it lies within no bounds.
FEASIBLE = """
not exists (
    select from jsonb_array_elements(v.constraints) c
     where not coalesce(
         (t.values ->> (c ->> 'metric'))::float8
             between coalesce((c ->> 'at_least')::float8, '-Infinity')
                 and coalesce((c ->> 'at_most')::float8, 'Infinity'),
         false))
"""

LATEST = 5_000  # batches that may matter: more than patience and a buffer ever need
# What is expected to be gained, once for each number of results that batches knew (`seen`): the
# largest that any of them told which knew as many.  With workers side by side a batch may know
# several results more than the one before it; batches that replace unused ones know as many.
GAIN = f"""
select max(r.gain) as gain, count(*) = s.budget_patience and max(r.gain) < s.budget_gain as little
  from (select max(b.expected_gain) as gain
          from (select seen, expected_gain from batch
                 where study_id = s.id and s.budget_gain is not null
                 order by number desc limit {LATEST}) b
         where b.expected_gain is not null
         group by b.seen order by b.seen desc limit s.budget_patience) r
"""  # noqa: S608

# Which limit is reached, the first of them by this order; no row while the study goes on.
REACHED = f"""
select case
    when s.budget_target is not null and exists (
        select from trial t
         where t.study_id = s.id and t.state = 'completed' and {FEASIBLE}
           and case v.objectives -> 0 ->> 'goal'
                   when 'maximize' then t.objective >= s.budget_target
                   else t.objective <= s.budget_target end) then 'target'
    when s.started_at + s.budget_hours * interval '1 hour' <= clock_timestamp() then 'hours'
    when n.finished = n.next_number and n.next_number - n.imported >= s.budget_trials then 'trials'
    when n.finished = n.next_number
         and not exists (select from suggestion g where g.study_id = s.id)
         and (select b.exhausted from batch b where b.study_id = s.id and b.state = 'done'
               and b.context is null  -- one context that is used up says nothing of the others
               order by b.number desc limit 1) is not null then 'exhausted'
         when g.little then 'gain'
    end as reached, g.gain, s.budget_gain, s.budget_patience
  from study s
  join study_spec v on v.study_id = s.id and v.version = s.spec_version
  join study_counter n on n.study_id = s.id
  cross join lateral ({GAIN}) g
 where s.id = %(study)s and s.state in ('active', 'paused')
"""  # noqa: S608

# Trials that are left over (a target or the hours were reached while they ran) are seen to by
# service.studies.ending once this has committed.
COMPLETE = """
update study set state = 'completed', state_reason = %(reason)s, finished_at = clock_timestamp(),
       revision = revision + 1,
       settled = (select finished = next_number from study_counter where study_id = %(study)s)
 where id = %(study)s and state in ('active', 'paused')
returning id
"""


async def complete_if_done(connection: AsyncConnection[Any], study_id: int) -> bool:
    """End the study as `completed` if it has reached a limit; whether this call did.

    Call it in the transaction that changed something, after the change of `study_counter`: it locks
    the study's row, which comes last (trial, lease, study_counter, study).  A repeat does nothing.
    """
    row = await (await connection.execute(REACHED, {"study": study_id})).fetchone()
    if row is None or row[0] is None:
        return False
    reason, detail = _why(*row)
    done = await connection.execute(COMPLETE, {"study": study_id, "reason": reason})
    if await done.fetchone() is None:
        return False
    await log(connection, study_id, None, "study_completed", detail)
    return True


def _why(
    reached: str, gain: float | None, least: float | None, patience: int | None
) -> tuple[str, dict[str, Any]]:
    """The reason as the study shows it, and as its event holds it."""
    if reached != "gain":
        return reached, {"reason": reached}
    numbers = {"expected_gain": gain, "min_expected_gain": least, "patience": patience}
    reason = f"gain: at most {gain:.3g} was expected in each of the last {patience} batches"
    told = f"{reason} that knew new results, less than {least:g}"
    return told, {"reason": reached, **numbers}
