"""What the end of a trial means for its study: complete, or paused because too much fails."""

import math
from typing import Any

from psycopg import AsyncConnection

from search.problem import Problem
from search.trial import TrialState
from service.events.log import log
from service.leases.ending import Count
from service.leases.results import Result
from service.studies.completion import complete_if_done

FIRST_TRIALS = 3  # that all fail in the same way: it is the program, not the configs

PAUSE = """
update study set state = 'paused', state_reason = %(reason)s, revision = revision + 1
 where id = %(study)s and state = 'active'
returning id
"""
SAME_FAILURE = """
select count(*) = %(most)s and min(reason) = 'user_error' and max(reason) = 'user_error'
  from trial where study_id = %(study)s and state = 'failed'
"""


async def follow(
    connection: AsyncConnection[Any],
    problem: Problem,
    result: Result | None,
    count: Count,
    *,
    state: TrialState,
) -> None:
    """Complete or pause the study, if this was the end that does it.

    Run after the end has committed.  Should the process die in between, the next ask or the next
    round of the reaper completes the study.
    """
    all_ended = count.finished == count.next_number
    if all_ended or (result is not None and _on_target(problem, result, count)):
        async with connection.transaction():
            await complete_if_done(connection, count.study_id)
    if state is TrialState.FAILED:
        await _pause_if_failing(connection, count)


def _on_target(problem: Problem, result: Result, count: Count) -> bool:
    if count.budget_target is None or result.objective is None:
        return False
    objective = problem.objectives[0]
    return objective.loss(result.objective) <= objective.loss(count.budget_target) < math.inf


async def _pause_if_failing(connection: AsyncConnection[Any], count: Count) -> None:
    """Pause at every `max_failed` failures, so that a study that was resumed has as many again."""
    if count.failed % count.max_failed == 0:
        reason = f"{count.failed} trials have failed"
    elif count.failed == FIRST_TRIALS == count.finished - count.imported:
        values = {"study": count.study_id, "most": FIRST_TRIALS}
        row = await (await connection.execute(SAME_FAILURE, values)).fetchone()
        if row is None or not row[0]:
            return
        reason = f"the first {FIRST_TRIALS} trials all failed with an error of the program"
    else:
        return
    async with connection.transaction():
        paused = await connection.execute(PAUSE, {"study": count.study_id, "reason": reason})
        if await paused.fetchone() is not None:
            await log(connection, count.study_id, None, "study_paused", {"reason": reason})
