"""What is worked out about a study for people to read."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from search.problem import Problem
from service.auth.deps import Reader
from service.errors import InvalidRequest, NotFound
from service.http.json import StrictRoute
from service.http.params import Params
from service.http.problems import answers
from service.insights.store import Insight, read, want
from service.resources import Needs, Resources
from service.schemas.insights import EXPLANATION, StudyExplanation
from service.schemas.trials import Waiting
from service.studies.find import find_study
from service.studies.spec import load_spec

BETWEEN_LOOKS = 0.2  # seconds
RETRY_SECONDS = 2.0

router = APIRouter(route_class=StrictRoute, tags=["looking"], responses=answers(404, 422))


class ExplanationQuery(Params):
    """Which metric, and how long to wait for results that are not in it yet."""

    metric: Annotated[
        str | None,
        Field(max_length=128, description="an objective's or a constraint's; the first objective"),
    ] = None
    wait: Annotated[float, Field(ge=0, le=20, description="seconds")] = 0


@router.get(
    "/studies/{study}/explanation",
    response_model=StudyExplanation,
    responses={202: {"model": Waiting}},
)
async def explanation(
    study: str, query: Annotated[ExplanationQuery, Query()], needs: Needs, caller: Reader
) -> Response:
    """What the results say: which parameters matter and how, and how far to trust that.

    It is worked out when somebody asks, and again when there are new results.  An answer that has
    not seen them all by the end of `wait` says so: `seen` is less than `finished`.  202: there is
    none at all yet, ask again.
    """
    async with needs.cold() as connection:
        found = await find_study(connection, caller.project_id, study)
        spec = await load_spec(connection, found["id"], found["spec_version"])
        metric = _metric(spec.problem, query.metric)
        await want(connection, found["id"], metric)
    insight = await _wait(needs, found["id"], metric, query.wait)
    if insight.seen is None:
        waiting = Waiting(retry_after=RETRY_SECONDS)
        headers = {"Retry-After": f"{RETRY_SECONDS:.0f}"}
        return JSONResponse(waiting.model_dump(), status_code=202, headers=headers)
    assert insight.computed_at is not None
    answer = StudyExplanation(
        seen=insight.seen,
        finished=insight.finished,
        computed_at=insight.computed_at,
        explanation=EXPLANATION.validate_python(insight.body),
    )
    return JSONResponse(answer.model_dump(mode="json"))


async def _wait(needs: Resources, study_id: int, metric: str, seconds: float) -> Insight:
    """The insight once it has seen what there was to see, or as it stands when time is up."""
    until, wanted = time.monotonic() + seconds, None
    while True:
        async with needs.cold() as connection:
            found = await read(connection, study_id, "explanation", metric)
        if found is None:
            raise NotFound("the study has been deleted")
        wanted = found.finished if wanted is None else wanted
        left = until - time.monotonic()
        if left <= 0 or (found.seen is not None and found.seen >= wanted):
            return found
        await asyncio.sleep(min(BETWEEN_LOOKS, left))


def _metric(problem: Problem, metric: str | None) -> str:
    known = [objective.metric for objective in problem.objectives]
    known += [constraint.metric for constraint in problem.constraints]
    if metric is None:
        return known[0]
    if metric not in known:
        message = f"metric: expected one of {', '.join(dict.fromkeys(known))}, got {metric!r}"
        raise InvalidRequest(
            message, errors=[{"in": "query", "field": "metric", "message": message}]
        )
    return metric
