"""tell: end a trial, once.

A tell is known again by its lease id and the hash of what it said: a repeat gets the first answer,
another outcome is refused.  A worker whose lease ended as lost may still tell while nobody has
taken its trial since: its result is adopted.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from search.problem import Problem
from search.trial import TrialState
from service.errors import AlreadyTold, LeaseLost, NotFound
from service.leases.consequences import follow
from service.leases.ending import Ending, Seen, end
from service.leases.fence import Call, lost
from service.leases.metrics import Measured
from service.leases.planned import as_planned
from service.leases.report import report
from service.leases.results import Outcome, Progress, Result, read_progress, result_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How the trial ended."""

    state: str
    reason: str | None
    values: dict[str, float | str]


async def tell(call: Call, outcome: Outcome, measured: Sequence[Measured] = ()) -> Verdict:
    """Store what was measured since the last report, and end the trial.

    Raises LeaseLost, LimitExceeded, AlreadyTold for another outcome than told before, and
    InvalidRequest when a completed trial lacks an objective; in each case nothing is told.
    """
    spec = await call.known.spec(call.connection, call.trial.study.id, call.trial.spec_version)
    told = hash_of(outcome)
    if measured and (before := await _store(call, spec.problem, measured)):
        return _again(before, told)
    while True:
        progress = await read_progress(call.connection, spec.problem, call.trial.id, call.lease_id)
        if progress is None:
            raise NotFound("no such trial")
        if progress.told_by == call.lease_id:
            return _again(progress, told)
        if not _may_tell(progress):
            raise lost(call.trial)
        became = as_planned(spec, call.trial, progress, outcome)
        verdict = await _end(call, spec.problem, progress, became, told)
        if verdict is not None:
            return verdict
        # A heartbeat or report came in between: look again.


async def _store(call: Call, problem: Problem, measured: Sequence[Measured]) -> Progress | None:
    """Store what was measured; how the trial stands if this lease has told already.

    Where the lease is lost a result may still be adopted, but not this one: its worker would take
    the measurements for stored.
    """
    try:
        await report(call, measured)
    except LeaseLost:
        progress = await read_progress(call.connection, problem, call.trial.id, call.lease_id)
        if progress is None or progress.told_by != call.lease_id:
            raise
        return progress
    return None


def hash_of(outcome: Outcome) -> bytes:
    """Equal for equal outcomes, whatever the order of their names."""
    body = outcome.model_dump(mode="json")
    for new in ("errors", "gradients"):
        if not body.get(new):
            body.pop(new, None)  # a tell of before there were any is known again
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()[:16]


def _again(progress: Progress, told: bytes) -> Verdict:
    if progress.tell_hash != told:
        raise AlreadyTold(f"this lease told before that the trial ended {progress.state}")
    return Verdict(state=progress.state, reason=progress.reason, values=progress.values or {})


def _may_tell(progress: Progress) -> bool:
    if progress.state == TrialState.RUNNING:
        return progress.expires_at is not None
    return progress.state == TrialState.QUEUED and progress.latest


async def _end(
    call: Call, problem: Problem, progress: Progress, outcome: Outcome, told: bytes
) -> Verdict | None:
    measured = dict(zip(progress.names, progress.measured, strict=True))
    result = result_of(problem, outcome, measured, progress.config)
    seen = Seen(
        trial_id=call.trial.id,
        state=TrialState(progress.state),
        lease_id=call.lease_id,
        expires_at=progress.expires_at,
        request=progress.request,
    )
    count = await end(call.connection, seen, _ending(call, outcome, result, progress, told))
    if count is None:
        return None
    await follow(call.connection, problem, result, count, state=result.state)
    return Verdict(state=result.state, reason=result.reason, values=result.wire_values())


def _ending(
    call: Call, outcome: Outcome, result: Result, progress: Progress, told: bytes
) -> Ending:
    return Ending(
        state=result.state,
        end_reason="told",
        reason=result.reason,
        message=result.message,
        values=result.wire_values(),
        objective=result.objective,
        errors=result.errors,
        gradients=result.gradients,
        told_by=call.lease_id,
        tell_hash=told,
        exit=getattr(outcome, "exit", None),
        log_tail=outcome.log_tail,
        reach=progress.reach,
        detail={"objective": result.objective},
    )
