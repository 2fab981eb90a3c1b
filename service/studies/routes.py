"""The routes of studies themselves; what one may look at in them is in service.views."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from service.auth.deps import Looker, Reader, Writer
from service.http.idempotency import OnlyOnce
from service.http.json import StrictRoute
from service.http.problems import answers
from service.resources import Needs
from service.schemas.base import Page
from service.schemas.studies import (
    Pause,
    Resume,
    StopStudy,
    Study,
    StudyCreate,
    StudyItem,
    StudyPatch,
)
from service.studies import lifecycle
from service.studies.create import create_study
from service.studies.ending import settle
from service.studies.listing import StudyFilter, list_studies
from service.studies.patch import IfMatch, patch_study
from service.studies.read import read_study

router = APIRouter(route_class=StrictRoute, tags=["studies"])


@router.post("/studies", status_code=201, responses=answers(409, 422), response_model=Study)
async def create(
    *,
    body: StudyCreate,
    needs: Needs,
    caller: Writer,
    once: OnlyOnce,
) -> Response:
    """Make a study.  If every parameter has a default, trial 0 runs the defaults."""
    async with needs.cold() as connection:
        answer = await once.answered(connection)
        if answer is None:
            public_id = await create_study(connection, caller.project_id, body)
            study = await read_study(connection, caller.project_id, public_id)
            answer = study.model_dump(mode="json", by_alias=True)
            await once.keep(connection, status=201, body=answer)
    headers = {"Location": f"/v1/studies/{answer['id']}", "ETag": f'"{answer["revision"]}"'}
    return JSONResponse(answer, status_code=201, headers=headers)


@router.get("/studies")
async def list_all(
    wanted: Annotated[StudyFilter, Query()], needs: Needs, caller: Looker
) -> Page[StudyItem]:
    """The project's studies, the latest first."""
    async with needs.cold() as connection:
        return await list_studies(connection, caller.project_id, wanted)


@router.get("/studies/{study}", responses=answers(404))
async def read(study: str, needs: Needs, caller: Looker, response: Response) -> Study:
    """A study, by its id or its name."""
    return await _show(study, needs, caller, response)


@router.patch("/studies/{study}", responses=answers(404, 409, 412, 422, 428))
async def patch(
    *,
    study: str,
    body: StudyPatch,
    needs: Needs,
    caller: Writer,
    response: Response,
    if_match: IfMatch = None,
) -> Study:
    """Change name, notes, tags, budget or max_running; what is absent stays."""
    async with needs.cold() as connection:
        public_id, private_id = await patch_study(
            connection, caller.project_id, study, body, if_match
        )
    await settle(needs.hot, private_id)
    return await _show(public_id, needs, caller, response)


@router.delete("/studies/{study}", status_code=204, responses=answers(404))
async def delete(study: str, needs: Needs, caller: Writer) -> None:
    """Delete a study with all of its trials.  Its workers lose their leases."""
    async with needs.cold() as connection:
        await lifecycle.delete(connection, caller.project_id, study)


@router.post("/studies/{study}:pause", responses=answers(404, 409))
async def pause(
    study: str, needs: Needs, caller: Writer, response: Response, body: Pause | None = None
) -> Study:
    """No new leases.  Running trials end; with `now` they are given back at their next answer."""
    now = body is not None and body.now
    async with needs.cold() as connection:
        private_id = await lifecycle.pause(connection, caller.project_id, study, now=now)
    await settle(needs.hot, private_id)
    return await _show(study, needs, caller, response)


@router.post("/studies/{study}:resume", responses=answers(404, 409))
async def resume(
    study: str, needs: Needs, caller: Writer, response: Response, body: Resume | None = None
) -> Study:
    """Go on with a paused study, or with a completed one whose budget was raised."""
    async with needs.cold() as connection:
        await lifecycle.resume(connection, caller.project_id, study)
    return await _show(study, needs, caller, response)


@router.post("/studies/{study}:stop", responses=answers(404, 409))
async def stop(
    study: str, needs: Needs, caller: Writer, response: Response, body: StopStudy | None = None
) -> Study:
    """End a study: queued trials are cancelled, running ones are asked to stop and count."""
    reason = (body or StopStudy()).reason
    async with needs.cold() as connection:
        private_id = await lifecycle.stop(connection, caller.project_id, study, reason=reason)
    await settle(needs.hot, private_id)
    return await _show(study, needs, caller, response)


async def _show(study: str, needs: Needs, caller: Reader, response: Response) -> Study:
    async with needs.cold() as connection:
        found = await read_study(connection, caller.project_id, study)
    response.headers["ETag"] = f'"{found.revision}"'
    return found
