"""What one may look at in a study."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from service.auth.deps import Looker, Reader
from service.http.json import StrictRoute
from service.http.params import Paging
from service.http.problems import answers
from service.http.streams import begun
from service.resources import Needs
from service.schemas.base import Page
from service.schemas.front import Best, Pareto
from service.schemas.studies import BatchItem, Curves
from service.schemas.trials import Changes, EventItem, TrialItem
from service.studies.find import find_study
from service.studies.spec import load_spec
from service.views import changes as changing
from service.views import front, records, series
from service.views.export import ExportQuery, csv_lines, json_lines
from service.views.listing import TrialQuery, list_trials

JSON_LINES = "application/x-ndjson"
LINES = {"content": {JSON_LINES: {"schema": {"type": "string"}}}}
FILE = {
    "content": {
        JSON_LINES: {"schema": {"type": "string"}},
        "text/csv": {"schema": {"type": "string"}},
    }
}
router = APIRouter(route_class=StrictRoute, tags=["looking"], responses=answers(404, 422))


@router.get("/studies/{study}/trials")
async def trials(
    study: str, query: Annotated[TrialQuery, Query()], needs: Needs, caller: Looker
) -> Page[TrialItem]:
    """The study's trials."""
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        return await list_trials(connection, found["id"], query)


@router.get("/studies/{study}/best")
async def best(study: str, needs: Needs, caller: Reader) -> Best:
    """The best completed trial that meets the constraints; with several objectives see /pareto."""
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        return await front.best(connection, found["id"])


@router.get("/studies/{study}/pareto")
async def pareto(study: str, needs: Needs, caller: Reader) -> Pareto:
    """The completed trials that no other beats in every objective."""
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        candidates = await front.candidates(connection, found["id"])
    ids = await front.front_ids(candidates)
    async with needs.cold() as connection:
        return await front.pareto(connection, ids)


@router.get("/studies/{study}/curves")
async def curves(
    study: str, query: Annotated[series.CurveQuery, Query()], needs: Needs, caller: Reader
) -> Curves:
    """One metric over steps, for the latest trials."""
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        return await series.study_curves(connection, study_id=found["id"], query=query)


@router.get("/studies/{study}/changes")
async def changes(
    study: str, query: Annotated[changing.ChangesQuery, Query()], needs: Needs, caller: Looker
) -> Changes:
    """Trials that changed since a version; with `wait` this waits for a change."""
    return await changing.changes(needs, caller.project_id, study, query)


@router.get("/studies/{study}/batches")
async def batches(
    study: str, paging: Annotated[Paging, Query()], needs: Needs, caller: Reader
) -> Page[BatchItem]:
    """The runs of the study's searcher, the latest first."""
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        return await records.batches(connection, found["id"], paging)


@router.get("/studies/{study}/events", response_model=Page[EventItem], responses={200: LINES})
async def events(
    study: str, query: Annotated[records.EventQuery, Query()], needs: Needs, caller: Reader
) -> Page[EventItem] | Response:
    """What happened in the study, the oldest first."""
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        if query.format == "json":
            return await records.events(connection, "study_id", found["id"], query)
    lines = records.event_lines(needs, "study_id", found["id"], query)
    return StreamingResponse(await begun(lines), media_type=JSON_LINES)


@router.get("/studies/{study}/export", response_class=Response, responses={200: FILE})
async def export(
    study: str, query: Annotated[ExportQuery, Query()], needs: Needs, caller: Reader
) -> Response:
    """All trials as a file."""
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        spec = await load_spec(connection, found["id"], found["spec_version"])
    headers = {"Content-Disposition": f'attachment; filename="{found["name"]}.{query.format}"'}
    if query.format == "csv":
        lines, kind = csv_lines(needs, found["id"], spec, query), "text/csv; charset=utf-8"
    else:
        lines, kind = json_lines(needs, found["id"], query), JSON_LINES
    return StreamingResponse(await begun(lines), media_type=kind, headers=headers)
