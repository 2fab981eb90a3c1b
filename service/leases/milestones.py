"""Judging a trial at every milestone that its measurements have reached."""

from service.leases.claim import FIRST
from service.leases.fence import Call
from service.leases.known import KnownTrial
from service.leases.placing import Judged, Milestone, Placed, decide, find_place
from service.leases.planned import sooner
from service.studies.spec import Spec

LATEST = """
select d.kind, d.detail from decision d
 where d.trial_id = %(trial)s and d.attempt = %(attempt)s and d.step <= %(step)s
 order by d.step desc limit 1
"""


def milestone(stored: int | None, spec: Spec, trial: KnownTrial) -> int | None:
    """The milestone that `lease.until` holds; by preference no metric tells of one."""
    if spec.problem.by_preference:
        return None
    if stored != FIRST:
        return stored
    return sooner(spec.scheduler.first_step(trial.number), trial.planned)


async def judge(
    call: Call,
    spec: Spec,
    first: Milestone,
    *,
    last_step: int,
    placed: Placed | None = None,
) -> Judged | None:
    """Decide at every milestone from `first` on that the stored measurements have reached.

    `placed` says how the trial stands at the first one, if that is known already.  The last
    decision, or None when none was due or somebody else has decided in the meantime.
    """
    judged: Judged | None = None
    place: Milestone | None = first
    while place is not None and place.step <= last_step:
        found = placed or await find_place(call, spec, place)
        if found is None:
            return judged
        judged = await decide(call, spec, place, found)
        if judged is None:
            return None
        placed, place = None, _next(first, judged.until)
    return judged


def _next(first: Milestone, until: int | None) -> Milestone | None:
    if until is None:
        return None
    return Milestone(stored=until, step=until, metric_id=first.metric_id)


async def latest(call: Call, *, attempt: int, step: int) -> Judged | None:
    """What the attempt was told at its last milestone up to a step."""
    values = {"trial": call.trial.id, "attempt": attempt, "step": step}
    row = await (await call.connection.execute(LATEST, values)).fetchone()
    if row is None:
        return None
    return Judged(kind=row[0], until=row[1].get("until"), reason=row[1].get("reason"))
