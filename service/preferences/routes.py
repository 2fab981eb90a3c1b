"""The calls of people about preferences: to say what is better, and to read what was said."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from service.auth.deps import Reader, Writer
from service.errors import InvalidRequest
from service.http.cursors import decode, page
from service.http.idempotency import OnlyOnce
from service.http.json import StrictRoute
from service.http.params import Paging
from service.http.problems import answers
from service.preferences.give import give
from service.preferences.read import preferences
from service.resources import Needs
from service.schemas.base import Page
from service.schemas.preferences import Prefer, Preference, Preferred
from service.studies.find import find_study

router = APIRouter(route_class=StrictRoute, tags=["preferences"])


@router.post(
    "/studies/{study}/preferences",
    status_code=201,
    response_model=Preferred,
    responses=answers(404, 409, 422),
)
async def prefer(
    *,
    study: str,
    body: Prefer,
    needs: Needs,
    caller: Writer,
    once: OnlyOnce,
) -> Response:
    """Say which completed trials are better; also after the study has ended."""
    async with needs.cold() as connection:
        answer = await once.answered(connection)
        if answer is None:
            row = await find_study(connection, caller.project_id, study)
            spec = await needs.known.spec(connection, row["id"], row["spec_version"])
            if not spec.problem.by_preference:
                raise InvalidRequest("the study goes by a metric: it takes no preferences")
            given = await give(connection, row["id"], body.rankings)
            answer = Preferred(preferences=given).model_dump(mode="json")
            await once.keep(connection, status=201, body=answer)
    return JSONResponse(answer, status_code=201)


@router.get("/studies/{study}/preferences")
async def read(
    study: str, paging: Annotated[Paging, Query()], needs: Needs, caller: Reader
) -> Page[Preference]:
    """What was said of the study's trials, the oldest first."""
    after = 0 if paging.cursor is None else decode(paging.cursor, int)[0]
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        items = await preferences(connection, found["id"], after=after, limit=paging.limit + 1)
    return page(items, limit=paging.limit, item=lambda item: item, key=lambda item: [item.id])
