"""Standard errors from tell and import to all that shows a trial, and to the searcher."""

import csv
import io
import json
import uuid
from typing import Any

import httpx
import psycopg
import pytest

from service.leases.tell import hash_of
from service.schemas.trials import Completed, Failed
from service.suggester.history import read_changed
from tests.leases.telling import take, tell
from tests.leases.world import World

SPACE = {"parameters": [{"kind": "float", "name": "x", "low": 0, "high": 1}]}


async def running(client: httpx.AsyncClient, *values: float) -> tuple[str, list[dict[str, Any]]]:
    """A study with its trials taken: each with its id and lease."""
    body = {"name": f"s{uuid.uuid4().hex}", "space": SPACE, "objectives": [{"metric": "loss"}]}
    made = await client.post("/v1/studies", json={**body, "first": [{"x": x} for x in values]})
    study = made.json()["id"]
    return study, await take(client, study, len(values))


async def test_a_told_error_is_shown_wherever_the_value_is(app_client: httpx.AsyncClient) -> None:
    study, (first, second) = await running(app_client, 0.2, 0.4)
    told = await tell(app_client, first, values={"loss": 0.5, "b": 2}, errors={"loss": 0.125})
    assert told.status_code == 200, told.text
    await tell(app_client, second, values={"loss": 0.75})
    shown = (await app_client.get(f"/v1/trials/{first['id']}")).json()
    assert shown["errors"] == {"loss": 0.125}
    items = (await app_client.get(f"/v1/studies/{study}/trials")).json()["items"]
    assert [item["errors"] for item in items] == [{"loss": 0.125}, {}]
    best = (await app_client.get(f"/v1/studies/{study}/best")).json()["trial"]
    assert best["errors"] == {"loss": 0.125}
    for where, found in (("error.loss<0.2", [0]), ("error.loss>0.2", [])):
        answer = await app_client.get(f"/v1/studies/{study}/trials", params={"where": where})
        assert [item["number"] for item in answer.json()["items"]] == found
    path = f"/v1/studies/{study}/export"
    lines = (await app_client.get(path, params={"format": "jsonl"})).text.splitlines()
    assert [json.loads(line)["errors"] for line in lines] == [{"loss": 0.125}, {}]
    rows = list(csv.DictReader(io.StringIO((await app_client.get(path)).text)))
    assert [row["error.loss"] for row in rows] == ["0.125", ""]


async def test_a_file_without_errors_has_no_column_for_them(app_client: httpx.AsyncClient) -> None:
    study, (trial,) = await running(app_client, 0.2)
    await tell(app_client, trial, values={"loss": 0.5})
    text = (await app_client.get(f"/v1/studies/{study}/export")).text
    assert "error" not in text.splitlines()[0]


async def test_an_error_is_part_of_what_was_told(app_client: httpx.AsyncClient) -> None:
    _, (trial,) = await running(app_client, 0.2)
    first = await tell(app_client, trial, values={"loss": 0.5}, errors={"loss": 0.125})
    again = await tell(app_client, trial, values={"loss": 0.5}, errors={"loss": 0.125})
    assert (again.status_code, again.json()) == (200, first.json())
    for errors in ({"loss": 0.25}, {}):
        other = await tell(app_client, trial, values={"loss": 0.5}, errors=errors)
        assert (other.status_code, other.json()["code"]) == (409, "already_told")


def test_a_tell_without_errors_is_known_by_the_hash_that_it_always_had() -> None:
    assert hash_of(Completed(values={"loss": 1.0})).hex() == "ca5cadf24ef6c44c0c9a5646f40176fb"
    assert hash_of(Completed(values={"loss": 1.0}, errors={})) == hash_of(
        Completed(values={"loss": 1.0})
    )
    assert hash_of(Failed(reason="oom")).hex() == "82596d2b00d9688904d56ec1a0ffd0a9"


@pytest.mark.parametrize(
    ("errors", "field"),
    [
        ('{"loss": -0.1}', "errors.loss"),
        ('{"loss": "0.1"}', "errors.loss"),
        ('{"loss": "NaN"}', "errors.loss"),
        ('{"loss": "Infinity"}', "errors.loss"),
        ('{"loss": true}', "errors.loss"),
        ('{"loss": null}', "errors.loss"),
        ("[0.1]", "errors"),
        ('{"los": 0.1}', "errors.los"),
        ('{"loss": 0.1, "": 0.1}', "errors"),
    ],
)
async def test_what_is_no_standard_error_is_refused_and_nothing_is_told(
    app_client: httpx.AsyncClient, errors: str, field: str
) -> None:
    _, (trial,) = await running(app_client, 0.2)
    outcome = '{"kind": "completed", "values": {"loss": 1}, "errors": ' + errors + "}"
    body = f'{{"lease_id": "{trial["lease"]}", "outcome": {outcome}}}'
    headers = {"content-type": "application/json"}
    path = f"/v1/trials/{trial['id']}:tell"
    answer = await app_client.post(path, content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert any(field in error["field"] for error in answer.json()["errors"])
    assert (await app_client.get(f"/v1/trials/{trial['id']}")).json()["state"] == "running"


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "1e400"])
async def test_what_is_no_json_number_is_no_error_either(
    app_client: httpx.AsyncClient, literal: str
) -> None:
    _, (trial,) = await running(app_client, 0.2)
    outcome = f'{{"kind": "completed", "values": {{"loss": 1}}, "errors": {{"loss": {literal}}}}}'
    body = f'{{"lease_id": "{trial["lease"]}", "outcome": {outcome}}}'
    headers = {"content-type": "application/json"}
    path = f"/v1/trials/{trial['id']}:tell"
    answer = await app_client.post(path, content=body, headers=headers)
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize("kind", ["stopped", "infeasible", "failed"])
async def test_only_a_completed_trial_is_told_with_errors(
    app_client: httpx.AsyncClient, kind: str
) -> None:
    _, (trial,) = await running(app_client, 0.2)
    more = {} if kind == "stopped" else {"reason": "oom"}
    answer = await tell(app_client, trial, kind=kind, errors={"loss": 0.1}, **more)
    assert answer.status_code == 422


async def test_an_error_may_go_with_a_value_that_was_reported(
    app_client: httpx.AsyncClient,
) -> None:
    _, (trial,) = await running(app_client, 0.2)
    measured = [{"step": 0, "values": {"loss": 0.5}}]
    body = {
        "lease_id": trial["lease"],
        "outcome": {"kind": "completed", "errors": {"loss": 0, "seconds": 0.5}},
        "measurements": measured,
    }
    path = f"/v1/trials/{trial['id']}:tell"
    refused = await app_client.post(path, json=body)
    assert refused.status_code == 422
    assert "seconds" in refused.json()["errors"][0]["field"]
    body["outcome"] = {"kind": "completed", "errors": {"loss": 0}}
    assert (await app_client.post(path, json=body)).status_code == 200
    shown = (await app_client.get(f"/v1/trials/{trial['id']}")).json()
    assert shown["errors"] == {"loss": 0}


async def test_imported_trials_bring_their_errors(app_client: httpx.AsyncClient) -> None:
    study, _ = await running(app_client)
    path = f"/v1/studies/{study}/trials:import"
    good = {"config": {"x": 0.5}, "values": {"loss": 1}, "errors": {"loss": 1e300}}
    made = await app_client.post(path, json={"trials": [good]})
    assert made.status_code == 201, made.text
    items = (await app_client.get(f"/v1/studies/{study}/trials")).json()["items"]
    assert items[0]["errors"] == {"loss": 1e300}
    for bad in (
        {**good, "state": "failed", "values": {}},
        {**good, "state": "stopped"},
        {**good, "errors": {"other": 0.1}},
        {**good, "errors": {"loss": -1e-300}},
    ):
        answer = await app_client.post(path, json={"trials": [good, bad]})
        assert answer.status_code == 422
        assert "trials.1" in answer.text
    items = (await app_client.get(f"/v1/studies/{study}/trials")).json()["items"]
    assert len(items) == 1


async def test_the_searcher_hears_of_them(world: World) -> None:
    run = await world.begin(await world.study())
    await run.tell(Completed(values={"loss": 1.0}, errors={"loss": 0.25}))
    async with world.pool.connection() as connection:
        _, changed = await read_changed(connection, run.study.id, -1)
    assert changed[0].errors == {"loss": 0.25}


async def test_a_trial_of_before_has_none(app_client: httpx.AsyncClient, database_url: str) -> None:
    _, (trial,) = await running(app_client, 0.2)
    await tell(app_client, trial, values={"loss": 0.5})
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select errors from trial").fetchall() == [(None,)]
    assert (await app_client.get(f"/v1/trials/{trial['id']}")).json()["errors"] == {}
