"""Derivatives of the objective from tell and import to all that shows a trial, and to the searcher.

The study has a float on a log scale, a whole number, a choice, and a float under a condition.
"""

import csv
import io
import json
import uuid
from typing import Any

import httpx
import psycopg
import pytest

from service.leases.tell import hash_of
from service.schemas.trials import Completed
from service.suggester.history import read_changed
from tests.leases.telling import take, tell
from tests.leases.world import World

SPACE = {
    "parameters": [
        {"kind": "float", "name": "lr", "low": 1e-4, "high": 1, "log": True},
        {"kind": "int", "name": "layers", "low": 1, "high": 3},
        {"kind": "choice", "name": "optimizer", "choices": ["adam", "sgd"]},
        {
            "kind": "float",
            "name": "momentum",
            "low": 0,
            "high": 1,
            "when": [{"parameter": "optimizer", "in": ["sgd"]}],
        },
    ]
}
ADAM = {"lr": 0.01, "layers": 2, "optimizer": "adam"}
SGD = {"lr": 0.02, "layers": 1, "optimizer": "sgd", "momentum": 0.5}


async def create(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    body = {
        "name": f"s{uuid.uuid4().hex}",
        "space": SPACE,
        "objectives": [{"metric": "loss", "gradients": True}],
    }
    return await client.post("/v1/studies", json={**body, **changes})


async def running(
    client: httpx.AsyncClient, *configs: dict[str, Any], **changes: Any
) -> tuple[str, list[dict[str, Any]]]:
    """A study with its trials taken: each with its id and lease."""
    made = await create(client, first=list(configs), **changes)
    assert made.status_code == 201, made.text
    study = made.json()["id"]
    return study, await take(client, study, len(configs))


async def test_told_derivatives_are_shown_wherever_the_trial_is(
    app_client: httpx.AsyncClient,
) -> None:
    study, (first, second) = await running(app_client, SGD, ADAM)
    slopes = {"lr": -4.5, "momentum": 1e300}
    told = await tell(app_client, first, values={"loss": 0.5}, gradients=slopes)
    assert told.status_code == 200, told.text
    await tell(app_client, second, values={"loss": 0.75})
    assert (await app_client.get(f"/v1/trials/{first['id']}")).json()["gradients"] == slopes
    items = (await app_client.get(f"/v1/studies/{study}/trials")).json()["items"]
    assert [item["gradients"] for item in items] == [slopes, {}]
    path = f"/v1/studies/{study}/export"
    lines = (await app_client.get(path, params={"format": "jsonl"})).text.splitlines()
    assert [json.loads(line)["gradients"] for line in lines] == [slopes, {}]
    rows = list(csv.DictReader(io.StringIO((await app_client.get(path)).text)))
    assert [row["gradient.lr"] for row in rows] == ["-4.5", ""]
    assert [row["gradient.momentum"] for row in rows] == ["1e+300", ""]
    shown = (await app_client.get(f"/v1/studies/{study}")).json()
    assert shown["objectives"][0]["gradients"] is True


async def test_derivatives_are_part_of_what_was_told(app_client: httpx.AsyncClient) -> None:
    _, (trial,) = await running(app_client, ADAM)
    first = await tell(app_client, trial, values={"loss": 0.5}, gradients={"lr": 1})
    again = await tell(app_client, trial, values={"loss": 0.5}, gradients={"lr": 1})
    assert (again.status_code, again.json()) == (200, first.json())
    for gradients in ({"lr": 2}, {}):
        other = await tell(app_client, trial, values={"loss": 0.5}, gradients=gradients)
        assert (other.status_code, other.json()["code"]) == (409, "already_told")


def test_a_tell_without_derivatives_is_known_by_the_hash_that_it_always_had() -> None:
    bare = Completed(values={"loss": 1.0})
    assert hash_of(bare).hex() == "ca5cadf24ef6c44c0c9a5646f40176fb"
    assert hash_of(bare) != hash_of(Completed(values={"loss": 1.0}, gradients={"lr": 1.0}))


@pytest.mark.parametrize(
    ("gradients", "field"),
    [
        ('{"lr": "0.1"}', "gradients.lr"),
        ('{"lr": "NaN"}', "gradients.lr"),
        ('{"lr": true}', "gradients.lr"),
        ('{"lr": null}', "gradients.lr"),
        ('{"lr": [0.1]}', "gradients.lr"),
        ("[0.1]", "gradients"),
        ('{"lr": 0.1, "learning_rate": 0.1}', "gradients.learning_rate"),
        ('{"lr": 0.1, "layers": 0.1}', "gradients.layers"),
        ('{"optimizer": 0.1}', "gradients.optimizer"),
        ('{"momentum": 0.1}', "gradients.momentum"),
    ],
)
async def test_what_is_no_derivative_is_refused_and_nothing_is_told(
    app_client: httpx.AsyncClient, gradients: str, field: str
) -> None:
    _, (trial,) = await running(app_client, ADAM)
    outcome = '{"kind": "completed", "values": {"loss": 1}, "gradients": ' + gradients + "}"
    body = f'{{"lease_id": "{trial["lease"]}", "outcome": {outcome}}}'
    headers = {"content-type": "application/json"}
    path = f"/v1/trials/{trial['id']}:tell"
    answer = await app_client.post(path, content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert any(error["field"].endswith(field) for error in answer.json()["errors"])
    assert (await app_client.get(f"/v1/trials/{trial['id']}")).json()["state"] == "running"


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "1e400"])
async def test_what_is_no_json_number_is_no_derivative_either(
    app_client: httpx.AsyncClient, literal: str
) -> None:
    _, (trial,) = await running(app_client, ADAM)
    outcome = f'{{"kind": "completed", "values": {{"loss": 1}}, "gradients": {{"lr": {literal}}}}}'
    body = f'{{"lease_id": "{trial["lease"]}", "outcome": {outcome}}}'
    headers = {"content-type": "application/json"}
    path = f"/v1/trials/{trial['id']}:tell"
    answer = await app_client.post(path, content=body, headers=headers)
    assert answer.status_code in {400, 422}


async def test_a_study_that_declares_none_takes_none(app_client: httpx.AsyncClient) -> None:
    _, (trial,) = await running(app_client, ADAM, objectives=[{"metric": "loss"}])
    answer = await tell(app_client, trial, values={"loss": 1}, gradients={"lr": 0.1})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "outcome.gradients"
    assert "'loss' has gradients" in answer.json()["detail"]
    assert (await tell(app_client, trial, values={"loss": 1}, gradients={})).status_code == 200


@pytest.mark.parametrize("kind", ["stopped", "infeasible", "failed"])
async def test_only_a_completed_trial_is_told_with_derivatives(
    app_client: httpx.AsyncClient, kind: str
) -> None:
    _, (trial,) = await running(app_client, ADAM)
    more = {} if kind == "stopped" else {"reason": "oom"}
    answer = await tell(app_client, trial, kind=kind, gradients={"lr": 0.1}, **more)
    assert answer.status_code == 422


async def test_derivatives_of_a_loss_that_is_not_finite_are_kept_with_it(
    app_client: httpx.AsyncClient,
) -> None:
    _, (trial,) = await running(app_client, ADAM)
    told = await tell(app_client, trial, values={"loss": "NaN"}, gradients={"lr": 0.1})
    assert told.json()["state"] == "infeasible"
    shown = (await app_client.get(f"/v1/trials/{trial['id']}")).json()
    assert shown["gradients"] == {"lr": 0.1}


async def test_imported_trials_bring_theirs(app_client: httpx.AsyncClient) -> None:
    study, _ = await running(app_client)
    path = f"/v1/studies/{study}/trials:import"
    good = {"config": SGD, "values": {"loss": 1}, "gradients": {"momentum": -2}}
    made = await app_client.post(path, json={"trials": [good]})
    assert made.status_code == 201, made.text
    for bad in (
        {**good, "state": "failed", "values": {}},
        {**good, "state": "stopped"},
        {**good, "gradients": {"other": 0.1}},
        {**good, "config": ADAM},
    ):
        answer = await app_client.post(path, json={"trials": [good, bad]})
        assert answer.status_code == 422
        assert "trials.1.gradients" in answer.text
    items = (await app_client.get(f"/v1/studies/{study}/trials")).json()["items"]
    assert [item["gradients"] for item in items] == [{"momentum": -2}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"searcher": {"kind": "gp"}}, "derivatives of the objective"),
        ({"searcher": {"kind": "tpe"}}, "derivatives of the objective"),
        ({"constraints": [{"metric": "m", "at_most": 1}]}, "constraints on outcomes"),
        ({"searcher": {"kind": "botorch", "cost": {}}}, "does not take cost"),
        ({"searcher": {"kind": "botorch", "surrogate": {"kind": "saas"}}}, "surrogate"),
        ({"context": [{"kind": "int", "name": "rows", "low": 1, "high": 9}]}, "context"),
        (
            {"objectives": [{"metric": "a", "gradients": True}, {"metric": "b"}]},
            "only objective",
        ),
        ({"space": {"parameters": [SPACE["parameters"][1]]}}, "float parameters"),
        ({"objectives": [{"metric": "loss", "gradients": 1}]}, "gradients"),
    ],
)
async def test_a_study_that_would_leave_them_aside_is_refused(
    app_client: httpx.AsyncClient, changes: dict[str, Any], message: str
) -> None:
    answer = await create(app_client, **changes)
    assert answer.status_code == 422, answer.text
    assert message in answer.text


async def test_the_searcher_hears_of_them(world: World) -> None:
    objectives = [{"metric": "loss", "gradients": True}]
    run = await world.begin(await world.study(objectives=objectives))
    await run.tell(Completed(values={"loss": 1.0}, gradients={"x": 0.25}))
    async with world.pool.connection() as connection:
        _, changed = await read_changed(connection, run.study.id, -1)
    assert changed[0].gradients == {"x": 0.25}


async def test_a_trial_of_before_has_none(app_client: httpx.AsyncClient, database_url: str) -> None:
    _, (trial,) = await running(app_client, ADAM)
    await tell(app_client, trial, values={"loss": 0.5})
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select gradients from trial").fetchall() == [(None,)]
    assert (await app_client.get(f"/v1/trials/{trial['id']}")).json()["gradients"] == {}
