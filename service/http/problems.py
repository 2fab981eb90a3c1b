"""Every error leaves as application/problem+json (RFC 9457), whoever raised it."""

from typing import Any

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from search.errors import SearchError, UnsupportedProblem
from service import errors
from service.http.database import explain
from service.http.fields import LONGEST, fields_of
from service.observability.metrics import PROBLEMS
from service.schemas.others import Problem

MEDIA_TYPE = "application/problem+json"
_BY_STATUS: dict[int, type[errors.ServiceError]] = {
    400: errors.InvalidJson,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedMediaType,
}


TITLES = {
    400: "The body is no JSON that is accepted",
    401: "No key, or one that is unknown, revoked or expired",
    403: "The key lacks the scope",
    404: "The project has no such thing",
    409: "The state does not allow this; `code` says why",
    410: "The study has ended; `reason` says why",
    412: "Somebody changed it since",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "A field is wrong; `errors` names each",
    428: "If-Match is needed",
    503: "The database cannot be reached: try again after Retry-After seconds",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route says in OpenAPI about the errors that it answers with."""
    return {
        status: {
            "description": TITLES[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make every error that leaves a route a problem."""
    for kind, handle in (
        (errors.ServiceError, _service_error),
        (RequestValidationError, _validation),
        (HTTPException, _http),
        (SearchError, _search),
        (psycopg.Error, _database),
        (SQLAlchemyError, _database),
    ):
        app.add_exception_handler(kind, handle)


def respond(request_id: str | None, error: errors.ServiceError) -> Response:
    """The error as a response."""
    PROBLEMS.labels(error.code).inc()
    problem = Problem(
        type=f"urn:trimtab:problem:{error.code}",
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail[:LONGEST],
        errors=[dict(item) for item in error.errors],
        request_id=request_id,
        reason=error.reason,
    )
    return Response(
        problem.model_dump_json(exclude_none=True),
        status_code=error.status,
        headers=error.headers,
        media_type=MEDIA_TYPE,
    )


def request_id(request: Request) -> str | None:
    """The id under which the logs know this request."""
    found: str | None = request.scope.get("state", {}).get("request_id")
    return found


async def _service_error(request: Request, error: Any) -> Response:
    return respond(request_id(request), error)


async def _database(request: Request, error: Any) -> Response:
    return respond(request_id(request), explain(error))


async def _http(request: Request, error: Any) -> Response:
    kind = _BY_STATUS.get(error.status_code, errors.InternalError)
    return respond(request_id(request), kind(headers=error.headers))


async def _search(request: Request, error: Any) -> Response:
    if isinstance(error, UnsupportedProblem):
        reasons = [{"message": reason} for reason in error.reasons]
        return respond(request_id(request), errors.UnsupportedStudy(str(error), errors=reasons))
    return respond(request_id(request), errors.InvalidRequest(str(error)))


async def _validation(request: Request, error: Any) -> Response:
    found = fields_of(error.errors()[:50], error.body)
    first = found[0]
    detail = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    return respond(request_id(request), errors.InvalidRequest(detail, errors=found))
