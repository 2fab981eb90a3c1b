"""Every error is a problem, with a code for programs and an id for the logs."""

from typing import Any

import psycopg
import pytest
from httpx import AsyncClient
from psycopg_pool import PoolTimeout
from sqlalchemy.exc import TimeoutError as PoolExhausted

from service import errors
from service.http.database import explain
from service.schemas.others import Problem


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("PUT", "/v1/studies", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("GET", "/v1/studies/nobody", 404, "not_found"),
        ("GET", "/v1/studies?limit=0", 422, "invalid_request"),
    ],
)
async def test_errors_are_problems(
    shared_client: AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await shared_client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate(answer.json())
    assert (problem.code, problem.status) == (code, status)
    assert problem.type == f"urn:trimtab:problem:{code}"
    assert problem.request_id == answer.headers["X-Request-ID"]


async def test_a_method_that_is_not_allowed_says_which_are(shared_client: AsyncClient) -> None:
    answer = await shared_client.put("/v1/version")
    assert answer.headers["Allow"] == "GET"


async def test_a_field_is_named_and_its_value_is_not_repeated(shared_client: AsyncClient) -> None:
    body = {
        "name": "s",
        "space": {"parameters": [{"kind": "float", "name": "x", "low": "SECRET", "high": 1}]},
    }
    problem = (await shared_client.post("/v1/studies", json=body)).json()
    fields = {error["field"]: error["message"] for error in problem["errors"]}
    assert set(fields) == {"space.parameters.0.low", "objectives"}
    assert "SECRET" not in str(problem)


async def test_a_request_id_is_taken_over_or_made(shared_client: AsyncClient) -> None:
    given = await shared_client.get("/healthz", headers={"X-Request-ID": "abc-12345678"})
    assert given.headers["X-Request-ID"] == "abc-12345678"
    for strange in ("short", "x" * 65, "a b c d e f g h", "<script>alert"):
        made = await shared_client.get("/healthz", headers={"X-Request-ID": strange})
        assert made.headers["X-Request-ID"] != strange


async def test_a_bug_is_a_500_that_tells_nothing(
    shared_client: AsyncClient, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the DSN is postgresql://user:hunter2@host/db")

    monkeypatch.setattr("service.studies.routes.list_studies", broken)
    answer = await shared_client.get("/v1/studies")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    logged = capsys.readouterr()
    assert answer.headers["X-Request-ID"] in logged.out + logged.err
    assert "RuntimeError" in logged.out + logged.err
    assert "hunter2" not in answer.text + logged.out + logged.err


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.NumericValueOutOfRange(), errors.InvalidRequest),
        (psycopg.errors.UntranslatableCharacter(), errors.InvalidRequest),
        (psycopg.DataError("text fields cannot contain NUL"), errors.InvalidRequest),
        (psycopg.errors.UniqueViolation(), errors.WrongState),
        (psycopg.errors.SerializationFailure(), errors.Unavailable),
        (psycopg.errors.DeadlockDetected(), errors.Unavailable),
        (psycopg.errors.LockNotAvailable(), errors.Unavailable),
        (psycopg.errors.QueryCanceled(), errors.Unavailable),
        (psycopg.errors.AdminShutdown(), errors.Unavailable),
        (psycopg.errors.DiskFull(), errors.Unavailable),
        (psycopg.OperationalError("connection refused"), errors.Unavailable),
        (PoolTimeout("no connection"), errors.Unavailable),
        (PoolExhausted(), errors.Unavailable),
        (psycopg.errors.UndefinedColumn(), errors.InternalError),
    ],
)
def test_what_the_database_says_is_put_in_the_callers_terms(error: Any, kind: type) -> None:
    found = explain(error)
    assert type(found) is kind
    assert ("Retry-After" in found.headers) == (kind is errors.Unavailable)
