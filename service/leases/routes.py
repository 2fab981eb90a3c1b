"""The calls of workers: ask, report, heartbeat, tell, release.

They run on the pool of hot connections, and answer with ready-made JSON.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from pydantic import BaseModel

from service.auth.deps import Runner
from service.auth.principal import Principal
from service.checkpoints.store import offer
from service.http.problems import answers
from service.leases.ask import RETRY_SECONDS, Asking, Taken
from service.leases.claim import Wish
from service.leases.fence import Call, renew
from service.leases.giving_back import release as give_back
from service.leases.hot_route import HotRoute
from service.leases.known import KnownStudy
from service.leases.metrics import Measured
from service.leases.milestones import milestone
from service.leases.report import Receipt
from service.leases.report import report as store_report
from service.leases.tell import tell as end_trial
from service.resources import Needs, Resources
from service.schemas.trials import (
    Ask,
    Asked,
    AskedTrial,
    Beaten,
    DecisionBody,
    Heartbeat,
    LeaseId,
    MeasurementBody,
    Release,
    Report,
    Reported,
    RequestBody,
    Tell,
    Told,
    Waiting,
)
from service.trials.context import check_context
from service.trials.identity import trial_seed

router = APIRouter(route_class=HotRoute, tags=["workers"])


@router.post(
    "/studies/{study}/trials:ask",
    response_model=Asked,
    responses={202: {"model": Waiting}, **answers(404, 409, 410, 422)},
)
async def ask(study: str, body: Ask, needs: Needs, caller: Runner) -> Response:
    """Take a trial to run, in the context given.  The same lease id gets the same trial.

    202: nothing to run yet, ask again with the same lease id.  410: the study has ended.
    """
    known = await needs.known.study(needs.hot, caller.project_id, study)
    asking = Asking(needs.hot, needs.known, needs.ready)
    context = check_context(known.context, body.context)
    wish = Wish(lease_id=body.lease_id, worker=body.worker, wait=body.wait, context=context)
    taken = await asking.ask(known, wish)
    if taken is None:
        waiting = Waiting(retry_after=RETRY_SECONDS)
        return _json(waiting, status=202, headers={"Retry-After": f"{RETRY_SECONDS:.0f}"})
    return _json(_asked(needs, known, taken))


@router.post(
    "/trials/{trial}/measurements", response_model=Reported, responses=answers(404, 409, 422)
)
async def report(trial: str, body: Report, needs: Needs, caller: Runner) -> Response:
    """Store measurements and renew the lease; the answer says whether to go on.

    Points that are there already stay as they are.
    """
    async with needs.hot.connection() as connection:
        call = await _call(needs, connection, caller, trial, body.lease_id)
        receipt = await store_report(call, _measured(body.measurements))
    return _json(_reported(receipt, call.trial.study.lease_seconds))


@router.post("/trials/{trial}:heartbeat", response_model=Beaten, responses=answers(404, 409))
async def heartbeat(trial: str, body: Heartbeat, needs: Needs, caller: Runner) -> Response:
    """Renew the lease; the answer carries what is asked of the worker."""
    async with needs.hot.connection() as connection:
        call = await _call(needs, connection, caller, trial, body.lease_id)
        held = await renew(call)
        spec = await needs.known.spec(connection, call.trial.study.id, call.trial.spec_version)
    beaten = Beaten(
        request=_request(held.request, held.request_reason),
        until=milestone(held.until, spec, call.trial),
        lease_seconds=call.trial.study.lease_seconds,
    )
    return _json(beaten)


@router.post("/trials/{trial}:tell", response_model=Told, responses=answers(404, 409, 422))
async def tell(trial: str, body: Tell, needs: Needs, caller: Runner) -> Response:
    """End the trial, with what was measured last.  The same tell twice is one effect.

    Where the measurements are refused, nothing is told.
    """
    async with needs.hot.connection() as connection:
        call = await _call(needs, connection, caller, trial, body.lease_id)
        verdict = await end_trial(call, body.outcome, _measured(body.measurements))
    told = {"state": verdict.state, "reason": verdict.reason, "values": verdict.values}
    return _json(Told.model_validate(told))


@router.post(
    "/trials/{trial}:release",
    status_code=204,
    response_class=Response,
    responses=answers(404, 409),
)
async def release(trial: str, body: Release, needs: Needs, caller: Runner) -> Response:
    """Give the trial back, to be run by somebody else; it uses up no attempt."""
    async with needs.hot.connection() as connection:
        call = await _call(needs, connection, caller, trial, body.lease_id)
        await give_back(call, body)
    return Response(status_code=204)


async def _call(
    needs: Resources,
    connection: AsyncConnection[Any],
    caller: Principal,
    public_id: str,
    lease_id: LeaseId,
) -> Call:
    trial = await needs.known.trial(connection, caller.project_id, public_id)
    return Call(connection, needs.known, trial, lease_id)


def _asked(needs: Resources, study: KnownStudy, taken: Taken) -> Asked:
    claimed, spec = taken.claimed, taken.spec
    read = [o.metric for o in spec.problem.objectives]
    read += [c.metric for c in spec.problem.constraints]
    trial = AskedTrial(
        id=claimed.public_id,
        study=study.public_id,
        study_name=claimed.study_name,
        number=claimed.number,
        config=claimed.config,
        context=claimed.context or {},
        seed=trial_seed(study.seed, claimed.number),
        metrics=list(dict.fromkeys(read)),
    )
    return Asked(
        trial=trial,
        attempt=claimed.attempt,
        until=taken.until,
        checkpoint=offer(needs.storage, claimed.step, claimed.key, claimed.size, claimed.sha256),
        lease_seconds=claimed.lease_seconds,
    )


def _measured(bodies: Sequence[MeasurementBody]) -> list[Measured]:
    return [
        Measured(step=m.step, values=m.values, elapsed_seconds=m.elapsed_seconds) for m in bodies
    ]


def _reported(receipt: Receipt, lease_seconds: float) -> Reported:
    decision = receipt.decision
    return Reported(
        accepted=receipt.accepted,
        already=receipt.already,
        conflicting=receipt.conflicting,
        decision=DecisionBody.model_validate(
            {"kind": decision.kind, "until": decision.until, "reason": decision.reason}
        ),
        request=_request(receipt.request, receipt.request_reason),
        lease_seconds=lease_seconds,
    )


def _request(kind: str | None, reason: str | None) -> RequestBody | None:
    return None if kind is None else RequestBody.model_validate({"kind": kind, "reason": reason})


def _json(body: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(
        body.model_dump_json(), status_code=status, headers=headers, media_type="application/json"
    )
