"""What one may look at in a trial, and write on it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from service.auth.deps import Looker, Noter, Reader
from service.http.json import StrictRoute
from service.http.problems import answers
from service.http.streams import begun
from service.resources import Needs
from service.schemas.base import Page
from service.schemas.trials import EventItem, Logs, Measurements, Trial, TrialPatch
from service.views import records, series
from service.views.patch import patch_trial
from service.views.study_routes import JSON_LINES, LINES
from service.views.trials import find_trial, read_trial

router = APIRouter(route_class=StrictRoute, tags=["looking"], responses=answers(404, 422))


@router.get("/trials/{trial}")
async def read(trial: str, needs: Needs, caller: Looker) -> Trial:
    """Everything about a trial."""
    async with needs.cold() as connection:
        return await read_trial(connection, caller.project_id, trial, needs.storage)


@router.patch("/trials/{trial}")
async def patch(
    trial: str,
    body: TrialPatch,
    needs: Needs,
    caller: Noter,  # the program that runs a trial writes its attributes
) -> Trial:
    """Write tags, notes and attributes; attributes are merged, and a null removes one."""
    async with needs.cold() as connection:
        await patch_trial(connection, caller.project_id, trial, body)
        return await read_trial(connection, caller.project_id, trial, needs.storage)


@router.get("/trials/{trial}/measurements")
async def measurements(
    trial: str, query: Annotated[series.SeriesQuery, Query()], needs: Needs, caller: Reader
) -> Measurements:
    """What the trial measured, a series for each metric, thinned to at most `points`."""
    async with needs.cold() as connection:
        found = await find_trial(connection, caller.project_id, trial)
        return await series.trial_series(
            connection, study_id=found["study_id"], trial_id=found["id"], query=query
        )


@router.get("/trials/{trial}/events", response_model=Page[EventItem], responses={200: LINES})
async def events(
    trial: str, query: Annotated[records.EventQuery, Query()], needs: Needs, caller: Reader
) -> Page[EventItem] | Response:
    """What happened to the trial, the oldest first."""
    async with needs.cold() as connection:
        found = await find_trial(connection, caller.project_id, trial)
        if query.format == "json":
            return await records.events(connection, "trial_id", found["id"], query)
    lines = records.event_lines(needs, "trial_id", found["id"], query)
    return StreamingResponse(await begun(lines), media_type=JSON_LINES)


@router.get("/trials/{trial}/log")
async def log(trial: str, needs: Needs, caller: Reader) -> Logs:
    """The ends of the logs of the trial's attempts, the latest last."""
    async with needs.cold() as connection:
        found = await find_trial(connection, caller.project_id, trial)
        return await records.logs(connection, found["id"])
