"""The calls of people about trials: enqueue, import, cancel, retry."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from psycopg import AsyncConnection

from service.auth.deps import Writer
from service.auth.principal import Principal
from service.errors import LimitExceeded
from service.http.idempotency import Once, OnlyOnce
from service.http.json import BulkRoute, StrictRoute
from service.http.problems import answers
from service.resources import Needs, Resources
from service.schemas.trials import Cancel, Enqueue, Import, Made, Numbered, Retry
from service.studies.find import find_study
from service.studies.spec import Spec
from service.trials.cancel import cancel as cancel_trial
from service.trials.cancel import retry as retry_trial
from service.trials.context import check_context
from service.trials.enqueue import Place, check_configs, check_going_on, enqueue
from service.trials.importing import Study, import_trials

router = APIRouter(route_class=StrictRoute, tags=["trials"])
bulk = APIRouter(route_class=BulkRoute, tags=["trials"])
MAX_POINTS_AT_ONCE = 100_000  # of one import


@bulk.post(
    "/studies/{study}/trials",
    status_code=201,
    response_model=Made,
    responses=answers(404, 409, 413, 422),
)
async def add(
    *,
    study: str,
    body: Enqueue,
    needs: Needs,
    caller: Writer,
    once: OnlyOnce,
) -> Response:
    """Queue configs to be run before any suggestion; they count in the budget."""
    async with needs.cold() as connection:
        answer = await once.answered(connection)
        if answer is None:
            known, spec, _ = await _target(needs, connection, caller, study)
            configs = check_configs(spec.problem.space, body.configs)
            context = check_context(spec.problem.context, body.context)
            places = await enqueue(
                connection, known, configs, body.replicate, {"by": "user"}, context=context
            )
            await check_going_on(connection, known)
            answer = await _keep(once, connection, places)
    return JSONResponse(answer, status_code=201)


@bulk.post(
    "/studies/{study}/trials:import",
    status_code=201,
    response_model=Made,
    responses=answers(404, 409, 413, 422),
)
async def import_ended(
    *,
    study: str,
    body: Import,
    needs: Needs,
    caller: Writer,
    once: OnlyOnce,
) -> Response:
    """Add trials that ran elsewhere, to learn from; they stand outside the budget."""
    points = sum(len(m.values) for trial in body.trials for m in trial.measurements)
    if points > MAX_POINTS_AT_ONCE:
        raise LimitExceeded(f"at most {MAX_POINTS_AT_ONCE} points at once, not {points}")
    async with needs.cold() as connection:
        answer = await once.answered(connection)
        if answer is None:
            known, spec, version = await _target(needs, connection, caller, study)
            receiver = Study(id=known, spec_version=version, problem=spec.problem)
            places = await import_trials(
                connection, receiver, body.trials, replicate=body.replicate
            )
            await check_going_on(connection, known)
            answer = await _keep(once, connection, places)
    return JSONResponse(answer, status_code=201)


@router.post("/trials/{trial}:cancel", status_code=204, responses=answers(404, 409))
async def cancel(trial: str, body: Cancel, needs: Needs, caller: Writer) -> None:
    """End a queued or running trial; a worker that runs it hears 409 at its next call."""
    async with needs.hot.connection() as connection:
        known = await needs.known.trial(connection, caller.project_id, trial)
        await cancel_trial(connection, needs.known, known, body.reason)


@router.post(
    "/trials/{trial}:retry",
    status_code=201,
    response_model=Numbered,
    responses=answers(404, 409, 422),
)
async def retry(
    *,
    trial: str,
    body: Retry,
    needs: Needs,
    caller: Writer,
    once: OnlyOnce,
) -> Response:
    """Queue the config of an ended trial again, as a new trial."""
    async with needs.cold() as connection:
        answer = await once.answered(connection)
        if answer is None:
            known = await needs.known.trial(connection, caller.project_id, trial)
            place = await retry_trial(connection, known)
            answer = {"id": place.id, "number": place.number}
            await once.keep(connection, status=201, body=answer)
    return JSONResponse(answer, status_code=201)


async def _target(
    needs: Resources, connection: AsyncConnection[Any], caller: Principal, study: str
) -> tuple[int, Spec, int]:
    """The study's private id, its spec, and the spec's version."""
    row = await find_study(connection, caller.project_id, study)
    version: int = row["spec_version"]
    return row["id"], await needs.known.spec(connection, row["id"], version), version


async def _keep(once: Once, connection: AsyncConnection[Any], places: list[Place]) -> Any:
    made = Made(trials=[Numbered(id=place.id, number=place.number) for place in places])
    answer = made.model_dump(mode="json")
    await once.keep(connection, status=201, body=answer)
    return answer
