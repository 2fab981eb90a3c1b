"""Bodies from people who do not wish us well: refused with a reason, and never a 500."""

import asyncio
import json
import resource
import socket
from typing import Any

import pytest
from httpx import AsyncClient

from service.errors import InvalidJson
from service.http import json as strict
from service.http.json import parse

OBJECTIVES = '"objectives": [{"metric": "loss"}]'
SPACE = '"space": {"parameters": [{"kind": "float", "name": "x", "low": 0, "high": 1}]}'


def study(extra: str = "", *, space: str = SPACE, name: str = '"s"') -> str:
    return f'{{"name": {name}, {space}, {OBJECTIVES}{extra}}}'


def with_bounds(low: str, high: str) -> str:
    return (
        '"space": {"parameters": [{"kind": "float", "name": "x", '
        f'"low": {low}, "high": {high}}}]}}'
    )


async def post(client: AsyncClient, body: str | bytes, path: str = "/v1/studies") -> Any:
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert len(answer.content) < 10_000
    return answer


NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", '"nan"', '"1"', "true", "null", "[]"]


@pytest.mark.parametrize("value", [*NUMBERS, str(2**63), "1" + "0" * 5000])
async def test_a_number_that_is_none_is_refused(shared_client: AsyncClient, value: str) -> None:
    for body in (
        study(space=with_bounds("0", value)),
        study(f', "seed": {value}') if value != "null" else study(', "seed": "x"'),
        study(f', "max_attempts": {value}'),
        study(f', "lease_seconds": {value}'),
        study(f', "first": [{{"x": {value}}}]'),
        study(f', "budget": {{"hours": {value}, "trials": 0}}'),
    ):
        answer = await post(shared_client, body)
        assert answer.status_code in {400, 422}, (body[:200], answer.text)


@pytest.mark.parametrize("value", ["1.0", "1e0", "2.0"])
async def test_a_whole_float_is_no_int_where_one_is_wanted(
    shared_client: AsyncClient, value: str
) -> None:
    assert (await post(shared_client, study(f', "max_attempts": {value}'))).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        study(', "notes": "a\\u0000b"'),
        study(', "notes": "\\ud800"'),
        study(', "notes": "\ud800"'),
        study(
            ', "managed": {"run": {"kind": "recipe", "name": "r", "arguments": {"a\\u0000": 1}}}'
        ),
        study(', "managed": {"run": {"kind": "recipe", "name": "r", "arguments": {"a": NaN}}}'),
        study(', "name": "t"'),
        study(', "budget": {"trials": 1, "trials": 2}'),
        '{"name": "s", "seed": NaN, "nonsense": tru',
        "",
        "[]",
        "null",
        '"text"',
        "{",
        "{} {}",
        "\ufeff{}",
        b"\xff\xfe{}",
        b'{"name": "\xc3\x28"}',
        "[" * 200_000,
        '{"a":' * 900 + "1" + "}" * 900,
        '{"a":' * 18 + "1" + "}" * 18,
    ],
)
async def test_a_body_that_is_no_json_we_take_is_refused(
    shared_client: AsyncClient, body: str | bytes
) -> None:
    answer = await post(shared_client, body)
    assert answer.status_code in {400, 422}
    assert answer.json()["code"] in {"invalid_json", "invalid_request"}


def test_what_is_legal_is_taken() -> None:
    assert parse(
        b'{"a": "\\ud83d\\ude00 \\\\u0000", "b": [1, 1.5, true, null], "c": -9007199254740992}'
    ) == {
        "a": "\U0001f600 \\u0000",
        "b": [1, 1.5, True, None],
        "c": -(2**53),
    }
    deep: Any = 1
    for _ in range(strict.MAX_DEPTH):
        deep = {"a": deep}
    assert parse(json.dumps(deep).encode()) == deep
    with pytest.raises(InvalidJson, match="16 levels"):
        parse(json.dumps({"a": deep}).encode())
    flat = {"a": [{} for _ in range(1000)]}
    assert parse(json.dumps(flat).encode()) == flat


NAMES = [
    "日本語",
    "\u202eevil",
    "😀",
    "x" * 10_000,
    "'; drop table study; --",
    "../../etc/passwd",
    "%2e%2e",
    "<script>alert(1)</script>",
    "=cmd()",
    "",
    " ",
    "a b",
    "a\nb",
]


@pytest.mark.parametrize("name", NAMES)
async def test_a_strange_study_name_is_refused_and_found_nowhere(
    shared_client: AsyncClient, name: str
) -> None:
    answer = await post(shared_client, study(name=json.dumps(name)))
    assert answer.status_code == 422
    from urllib.parse import quote

    for path in (f"/v1/studies/{quote(name, safe='')}", f"/v1/trials/{quote(name, safe='')}"):
        assert (await shared_client.get(path)).status_code in {404, 405, 200} - (
            {200} if name else set()
        )


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n.strip() and n.isprintable() and len(n) < 100]
)
async def test_a_strange_parameter_name_is_kept_as_it_is(
    app_client: AsyncClient, name: str
) -> None:
    parameter = {"kind": "float", "name": name, "low": 0, "high": 1, "default": 0.5}
    space = f'"space": {json.dumps({"parameters": [parameter]})}'
    answer = await post(app_client, study(space=space))
    assert answer.status_code == 201, answer.text
    trial = (await app_client.get("/v1/studies/s/trials")).json()["items"][0]
    assert trial["config"] == {name: 0.5}
    exported = await app_client.get("/v1/studies/s/export")
    assert exported.status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "name=%00",
        "tag=%00",
        "cursor=%00",
        "name=%ED%A0%80",
        "state=%FF",
        "limit=NaN",
        "limit=1e400",
        f"limit={'9' * 5000}",
    ],
)
async def test_strange_queries(shared_client: AsyncClient, query: str) -> None:
    answer = await shared_client.get(f"/v1/studies?{query}")
    assert answer.status_code in {200, 422}, answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/studies/%00",
        "/v1/trials/%00",
        "/v1/studies/%ED%A0%80/best",
        "/v1/studies/..%2f..%2f",
        "/v1/keys/%00",
    ],
)
async def test_strange_paths(shared_client: AsyncClient, path: str) -> None:
    for method in ("GET", "DELETE"):
        assert (await shared_client.request(method, path)).status_code in {404, 405, 422}


async def test_a_large_body_is_refused_by_its_announcement(shared_client: AsyncClient) -> None:
    answer = await post(shared_client, b" " * (10 * 2**20))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_large_body_in_chunks_is_refused_before_it_is_read(
    shared_client: AsyncClient,
) -> None:
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        for _ in range(480):
            sent += 2**16
            yield b" " * 2**16

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await shared_client.post(
        "/v1/studies", content=chunks(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert sent < 3 * 2**20
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20 * 1024  # KiB


async def test_more_may_be_sent_where_many_items_go(app_client: AsyncClient, make: Any) -> None:
    await make()
    for path in ("/v1/studies/digits/trials", "/v1/studies/digits/trials:import"):
        middling = await post(app_client, b'{"configs": 1' + b" " * (2 * 2**20) + b"}", path)
        assert middling.status_code == 422
        assert (await post(app_client, b" " * (9 * 2**20), path)).status_code == 413


def test_a_body_that_drips_is_given_up(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "BODY_SECONDS", 0.3)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/studies HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + server.key.encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "multipart/form-data"])
async def test_other_media_types_are_refused(shared_client: AsyncClient, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await shared_client.post("/v1/studies", content=b"{}", headers=headers)
    assert answer.status_code == 415


async def test_a_client_that_leaves_changes_nothing(app_client: AsyncClient) -> None:
    async def broken() -> Any:
        yield b'{"name"'
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await app_client.post(
            "/v1/studies", content=broken(), headers={"Content-Type": "application/json"}
        )
    assert (await app_client.get("/v1/studies")).json()["items"] == []
