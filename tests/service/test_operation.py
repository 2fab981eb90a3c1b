"""Health, readiness, metrics, logs and the pages for people."""

import io
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from httpx import AsyncClient

from service.app import create_app, lifespan
from service.observability import logs
from service.settings import Settings


async def test_it_is_up_and_ready(shared_client: AsyncClient) -> None:
    assert (await shared_client.get("/healthz")).json() == {"status": "up"}
    answer = await shared_client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_an_unknown_schema_is_not_ready(
    app_client: AsyncClient, db: psycopg.Connection
) -> None:
    db.execute("update alembic_version set version_num = 'from the future'")
    answer = await app_client.get("/readyz")
    assert answer.status_code == 503
    assert "schema" in answer.json()["status"]
    db.execute("drop table alembic_version")
    assert "migrate" in (await app_client.get("/readyz")).json()["status"]
    assert (await app_client.get("/healthz")).status_code == 200


async def test_without_a_database_it_starts_and_says_so(tmp_path: Path) -> None:
    app = create_app(
        Settings(
            database_url=f"postgresql:///x?host={tmp_path}", storage=str(tmp_path), pool_timeout=0.2
        )
    )
    transport = httpx.ASGITransport(app)
    async with lifespan(app), AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        key = "tt_aaaaaaaa_" + "b" * 40
        import zlib

        headers = {"Authorization": f"Bearer {key}_{zlib.crc32(key.encode()):08x}"}
        answer = await client.get("/v1/me", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
        metrics = (await client.get("/metrics")).text
        assert "trimtab_database_up 0.0" in metrics


async def test_metrics_count_routes_and_never_ids(app_client: AsyncClient, make: Any) -> None:
    await make()
    for name in ("digits", "napoleon"):
        await app_client.get(f"/v1/studies/{name}")
    await app_client.get("/no/such/place")
    text = (await app_client.get("/metrics")).text
    assert 'route="/v1/studies/{study}",status="200"' in text
    assert 'route="none",status="404"' in text
    assert "trimtab_request_seconds_bucket" in text
    assert "trimtab_database_up 1.0" in text
    assert "trimtab_demand_waiting 0.0" in text
    assert 'trimtab_pool_used{pool="hot"}' in text
    for secret in ("digits", "napoleon", "/no/such/place"):
        assert secret not in text


def test_logs_are_lines_of_json_with_a_request_id(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import structlog

    # Not capsys, which loses what another thread writes while it is read.
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(level="INFO", as_json=True)
    try:
        with server.client() as client:
            answer = client.get("/v1/me")
        # The line is written once the answer has been sent.
        deadline = time.monotonic() + 20
        while '"route": "/v1/me"' not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        structlog.reset_defaults()
    text = stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines() if line[:1] == "{"]
    line = next(line for line in lines if line["event"] == "request")
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert (line["route"], line["status"], line["level"]) == ("/v1/me", 200, "info")
    assert server.key not in text


async def test_logs_hold_nothing_secret(
    app_client: AsyncClient, make: Any, settings: Settings, capsys: Any
) -> None:
    lease = "11111111-2222-4333-8444-555555555555"
    await make("digits", notes="SECRETNOTE", seed=987654321)
    await app_client.post(
        "/v1/studies/digits/trials:ask", json={"lease_id": lease, "worker": "w", "wait": 0}
    )
    await app_client.post("/v1/studies", json={"name": "SECRETNAME", "space": {}})
    await app_client.get("/v1/me", headers={"Authorization": "Bearer SECRETKEY"})
    logged = capsys.readouterr()
    text = logged.out + logged.err
    assert "request_id" in text
    key = settings.bootstrap_key.get_secret_value()
    dsn = settings.database_url.get_secret_value()
    for secret in ("SECRET", "987654321", lease, key, dsn):
        assert secret not in text


def test_an_exception_is_logged_without_its_message() -> None:
    try:
        raise ValueError("hunter2")
    except ValueError as error:
        text = logs.where(error)
    assert re.fullmatch(r"ValueError at test_operation\.py:\d+", text)


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_need_nothing_from_elsewhere(shared_client: AsyncClient, path: str) -> None:
    answer = await shared_client.get(path)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="([^"#][^"]*)"', answer.text)
    assert links
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    for link in links:
        assert link.startswith("/")
        assert (await shared_client.get(link)).status_code == 200, link


async def test_the_documentation_names_every_route(shared_client: AsyncClient) -> None:
    text = (await shared_client.get("/docs")).text
    document = (await shared_client.get("/openapi.json")).json()
    for path in document["paths"]:
        assert path in text
    for anchor in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{anchor}"' in text
    assert "<code>lease_id</code>" in text
    assert text.index('<h2 id="studies">') < text.index('<h2 id="keys">')


async def test_metrics_follow_trials_and_refusals(app_client: AsyncClient, make: Any) -> None:
    def value(text: str, name: str) -> float:
        found = [line.split()[-1] for line in text.splitlines() if line.startswith(name)]
        return float(found[0]) if found else 0.0

    running = 'trimtab_trial_transitions_total{by="claimed",state="running"}'
    completed = 'trimtab_trial_transitions_total{by="told",state="completed"}'
    refused = 'trimtab_problems_total{code="lease_lost"}'
    before = (await app_client.get("/metrics")).text
    await make(first=[{"lr": 0.01, "optimizer": "adamw", "batch, size": 1}])
    lease = {"lease_id": "11111111-2222-4333-8444-555555555555"}
    asked = await app_client.post("/v1/studies/digits/trials:ask", json={**lease, "worker": "w"})
    path = f"/v1/trials/{asked.json()['trial']['id']}"
    outcome = {"kind": "completed", "values": {"loss": 0.5}}
    told = await app_client.post(f"{path}:tell", json={**lease, "outcome": outcome})
    assert told.status_code == 200, told.text
    late = await app_client.post(f"{path}:heartbeat", json=lease)
    assert late.json()["code"] == "lease_lost"
    after = (await app_client.get("/metrics")).text
    for name in (running, completed, refused):
        assert value(after, name) == value(before, name) + 1, name
