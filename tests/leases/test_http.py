"""The calls of workers and people over HTTP: codes, bodies, repeats."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.leases.checker import check

SPACE = {"parameters": [{"kind": "float", "name": "x", "low": 0, "high": 1}]}


async def make(client: httpx.AsyncClient, **options: Any) -> str:
    body = {
        "name": f"s{uuid.uuid4().hex}",
        "space": SPACE,
        "objectives": [{"metric": "loss"}],
        **options,
    }
    answer = await client.post("/v1/studies", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ask(client: httpx.AsyncClient, study: str, lease: str | None = None) -> httpx.Response:
    body = {"lease_id": lease or str(uuid.uuid4()), "worker": "w", "wait": 0}
    return await client.post(f"/v1/studies/{study}/trials:ask", json=body)


async def enqueue(client: httpx.AsyncClient, study: str, *values: float, **more: Any) -> Any:
    body = {"configs": [{"x": x} for x in values], **more}
    return await client.post(f"/v1/studies/{study}/trials", json=body)


async def tell(client: httpx.AsyncClient, trial: str, lease: str, **outcome: Any) -> httpx.Response:
    body = {"lease_id": lease, "outcome": {"kind": "completed", **outcome}}
    return await client.post(f"/v1/trials/{trial}:tell", json=body)


async def test_a_trial_from_ask_to_tell(app_client: httpx.AsyncClient, settings: Settings) -> None:
    study = await make(app_client, seed=7)
    await enqueue(app_client, study, 0.25)
    lease = str(uuid.uuid4())
    asked = (await ask(app_client, study, lease)).json()
    trial = asked["trial"]
    assert trial["config"] == {"x": 0.25}
    assert (trial["number"], asked["attempt"], asked["until"]) == (0, 1, 4)
    assert 0 <= trial["seed"] < 2**63
    assert trial["metrics"] == ["loss"]
    assert (await ask(app_client, study, lease)).json()["trial"] == trial
    sent = {"lease_id": lease, "measurements": [{"step": 0, "values": {"loss": "NaN"}}]}
    answer = await app_client.post(f"/v1/trials/{trial['id']}/measurements", json=sent)
    assert answer.json() == {
        "accepted": 1,
        "already": 0,
        "conflicting": 0,
        "decision": {"kind": "continue", "until": 4, "reason": None},
        "request": None,
        "lease_seconds": 60.0,
    }
    beat = await app_client.post(f"/v1/trials/{trial['id']}:heartbeat", json={"lease_id": lease})
    assert beat.json() == {"request": None, "until": 4, "lease_seconds": 60.0}
    told = await tell(app_client, trial["id"], lease, values={"loss": 0.5})
    assert told.json() == {"state": "completed", "reason": None, "values": {"loss": 0.5}}
    assert (await tell(app_client, trial["id"], lease, values={"loss": 0.5})).status_code == 200
    other = await tell(app_client, trial["id"], lease, values={"loss": 0.75})
    assert (other.status_code, other.json()["code"]) == (409, "already_told")
    await asyncio.to_thread(check, settings.database_url.get_secret_value())


async def test_the_seed_of_a_trial_is_made_of_its_study_and_number(
    app_client: httpx.AsyncClient,
) -> None:
    seeds = []
    for seed in (1, 1, 2):
        study = await make(app_client, seed=seed)
        await enqueue(app_client, study, 0.1, 0.2)
        seeds.append([(await ask(app_client, study)).json()["trial"]["seed"] for _ in range(2)])
    assert seeds[0] == seeds[1]
    assert len({*seeds[0], *seeds[2]}) == 4


async def test_no_config_yet_is_202_with_the_time_to_wait(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    answer = await ask(app_client, study)
    assert (answer.status_code, answer.json()) == (202, {"retry_after": 1.0})
    assert answer.headers["Retry-After"] == "1"


async def test_ended_and_paused_studies_say_why(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    await enqueue(app_client, study, 0.1)
    await app_client.post(f"/v1/studies/{study}:pause", json={})
    answer = await ask(app_client, study)
    assert (answer.status_code, answer.json()["code"]) == (409, "study_paused")
    await app_client.post(f"/v1/studies/{study}:stop", json={"reason": "found a bug"})
    answer = await ask(app_client, study)
    assert (answer.status_code, answer.json()["code"]) == (410, "study_ended")
    assert answer.json()["reason"] == "found a bug"
    await app_client.delete(f"/v1/studies/{study}")
    assert (await ask(app_client, study)).status_code == 404


async def test_a_study_is_asked_by_its_name_as_well(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client, name="by-name")
    await enqueue(app_client, study, 0.5)
    assert (await ask(app_client, "by-name")).json()["trial"]["study"] == study
    assert (await ask(app_client, "no-such-name")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lease_id": "not-a-uuid", "worker": "w"},
        {"lease_id": str(uuid.uuid4()), "worker": ""},
        {"lease_id": str(uuid.uuid4()), "worker": "w", "wait": 21},
        {"lease_id": str(uuid.uuid4()), "worker": "w", "wait": "1"},
        {"lease_id": str(uuid.uuid4()), "worker": "w", "extra": 1},
        {"lease_id": 5, "worker": "w"},
    ],
)
async def test_a_body_that_is_wrong_is_422(app_client: httpx.AsyncClient, body: Any) -> None:
    study = await make(app_client)
    answer = await app_client.post(f"/v1/studies/{study}/trials:ask", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert all(error["in"] == "body" for error in answer.json()["errors"])


async def test_the_door_of_the_hot_calls_is_as_shut_as_any(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    path = f"/v1/studies/{study}/trials:ask"
    body = {"lease_id": str(uuid.uuid4()), "worker": "w", "wait": 0}
    answer = await app_client.post(path, json=body, headers={"Authorization": ""})
    assert answer.status_code == 401
    key = {"name": "looker", "scopes": ["read"]}
    made = (await app_client.post("/v1/keys", json=key)).json()["key"]
    answer = await app_client.post(path, json=body, headers={"Authorization": f"Bearer {made}"})
    assert answer.status_code == 403
    answer = await app_client.post(path, content=b'{"lease_id": NaN}')
    assert answer.status_code == 415
    answer = await app_client.post(
        path, content=b'{"wait": NaN}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert (await app_client.post(path)).status_code == 422


async def test_a_missing_objective_is_422_and_names_it(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    await enqueue(app_client, study, 0.1)
    lease = str(uuid.uuid4())
    trial = (await ask(app_client, study, lease)).json()["trial"]["id"]
    answer = await tell(app_client, trial, lease)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "outcome.values.loss"


async def test_the_trial_of_another_project_is_not_there(
    app_client: httpx.AsyncClient, settings: Settings
) -> None:
    import psycopg

    study = await make(app_client)
    await enqueue(app_client, study, 0.1)
    lease = str(uuid.uuid4())
    trial = (await ask(app_client, study, lease)).json()["trial"]["id"]
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("insert into project (name) values ('other')")
        connection.execute(
            "update api_key set project_id = (select id from project where name = 'other')"
        )
    keyring = app_client.app.state.resources.keyring  # type: ignore[attr-defined]
    keyring._known.clear()
    body = {"lease_id": lease}
    assert (await app_client.post(f"/v1/trials/{trial}:heartbeat", json=body)).status_code == 404
    assert (await ask(app_client, study)).status_code == 404
    assert (await app_client.post(f"/v1/trials/{trial}:cancel", json={})).status_code == 404


# -- what people do -------------------------------------------------------------------------------


async def test_queued_configs_run_in_order_and_count_in_the_budget(
    app_client: httpx.AsyncClient,
) -> None:
    study = await make(app_client, budget={"trials": 3})
    made = await enqueue(app_client, study, 0.1, 0.2, 0.3)
    assert made.status_code == 201
    assert [trial["number"] for trial in made.json()["trials"]] == [0, 1, 2]
    found = [(await ask(app_client, study)).json()["trial"]["config"]["x"] for _ in range(3)]
    assert found == [0.1, 0.2, 0.3]
    assert (await ask(app_client, study)).status_code == 202


async def test_an_enqueue_sent_twice_is_one(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    headers = {"Idempotency-Key": "once"}
    body = {"configs": [{"x": 0.5}]}
    path = f"/v1/studies/{study}/trials"
    first = await app_client.post(path, json=body, headers=headers)
    assert (await app_client.post(path, json=body, headers=headers)).json() == first.json()
    other = await app_client.post(path, json={"configs": [{"x": 0.6}]}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_a_config_that_the_study_has_is_refused_unless_replicated(
    app_client: httpx.AsyncClient,
) -> None:
    study = await make(app_client)
    await enqueue(app_client, study, 0.5)
    for values in ((0.5,), (0.6, 0.6)):
        answer = await enqueue(app_client, study, *values)
        assert (answer.status_code, answer.json()["code"]) == (409, "config_exists")
    again = await enqueue(app_client, study, 0.5, 0.5, replicate=True)
    assert [trial["number"] for trial in again.json()["trials"]] == [1, 2]


async def test_a_config_outside_the_space_is_refused_by_name(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    answer = await enqueue(app_client, study, 0.5, 1.5)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "configs.1.x"
    assert (await ask(app_client, study)).status_code == 202


async def test_two_people_queue_the_same_config_at_once(
    app_client: httpx.AsyncClient, settings: Settings
) -> None:
    study = await make(app_client)
    answers = await asyncio.gather(*(enqueue(app_client, study, 0.5) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    await asyncio.to_thread(check, settings.database_url.get_secret_value())


async def test_imported_trials_are_learnt_from_and_stand_outside_the_budget(
    app_client: httpx.AsyncClient, settings: Settings
) -> None:
    study = await make(app_client, budget={"trials": 1})
    trials = [
        {"config": {"x": 0.1}, "values": {"loss": 3.0}, "tags": ["old"]},
        {
            "config": {"x": 0.2},
            "measurements": [
                {"step": 1, "values": {"loss": 1.0, "acc": 0.5}},
                {"step": 0, "values": {"loss": 2.0}},
            ],
        },
        {"config": {"x": 0.3}, "state": "failed", "reason": "oom"},
        {"config": {"x": 0.4}, "values": {"loss": "Infinity"}},
    ]
    path = f"/v1/studies/{study}/trials:import"
    answer = await app_client.post(path, json={"trials": trials})
    assert answer.status_code == 201, answer.text
    ids = [trial["id"] for trial in answer.json()["trials"]]
    found = [(await app_client.get(f"/v1/trials/{trial}")).json() for trial in ids]
    assert [(t["state"], t["reason"]) for t in found] == [
        ("completed", None), ("completed", None), ("failed", "oom"), ("infeasible", "non_finite"),
    ]  # fmt: skip
    assert found[1]["values"] == {"loss": 1.0, "acc": 0.5}
    assert (await app_client.get(f"/v1/studies/{study}/best")).json()["trial"]["number"] == 1
    await enqueue(app_client, study, 0.9)
    assert (await ask(app_client, study)).json()["trial"]["number"] == 4
    await asyncio.to_thread(check, settings.database_url.get_secret_value())


async def test_an_import_is_whole_or_not_at_all(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    path = f"/v1/studies/{study}/trials:import"
    good = {"config": {"x": 0.1}, "values": {"loss": 1.0}}
    for bad in ({"config": {"x": 2}}, {"config": {"x": 0.2}, "values": {}}):
        answer = await app_client.post(path, json={"trials": [good, bad]})
        assert answer.status_code == 422
        assert "trials.1" in answer.json()["detail"]
    twice = {"trials": [good, good], "replicate": False}
    assert (await app_client.post(path, json=twice)).status_code == 409
    listed = (await app_client.get(f"/v1/studies/{study}/trials")).json()
    assert listed["items"] == []


async def test_a_cancelled_trial_is_over_for_its_worker_and_for_the_queue(
    app_client: httpx.AsyncClient, settings: Settings
) -> None:
    study = await make(app_client)
    await enqueue(app_client, study, 0.1, 0.2)
    lease = str(uuid.uuid4())
    running = (await ask(app_client, study, lease)).json()["trial"]["id"]
    items = (await app_client.get(f"/v1/studies/{study}/trials")).json()["items"]
    queued = next(item["id"] for item in items if item["state"] == "queued")
    for trial in (running, queued):
        path = f"/v1/trials/{trial}:cancel"
        assert (await app_client.post(path, json={"reason": "wrong data"})).status_code == 204
        assert (await app_client.post(path, json={})).status_code == 204
        found = (await app_client.get(f"/v1/trials/{trial}")).json()
        assert (found["state"], found["reason"]) == ("cancelled", "wrong data")
    beat = await app_client.post(f"/v1/trials/{running}:heartbeat", json={"lease_id": lease})
    assert (beat.status_code, beat.json()["code"]) == (409, "lease_lost")
    assert (await tell(app_client, running, lease, values={"loss": 1.0})).status_code == 409
    assert (await ask(app_client, study)).status_code == 202
    await asyncio.to_thread(check, settings.database_url.get_secret_value())


async def test_cancels_beside_tells_end_each_trial_once(
    app_client: httpx.AsyncClient, settings: Settings
) -> None:
    study = await make(app_client)
    await enqueue(app_client, study, *(n / 100 for n in range(20)))
    for _ in range(20):
        lease = str(uuid.uuid4())
        trial = (await ask(app_client, study, lease)).json()["trial"]["id"]
        told, cancelled = await asyncio.gather(
            tell(app_client, trial, lease, values={"loss": 1.0}),
            app_client.post(f"/v1/trials/{trial}:cancel", json={}),
        )
        state = (await app_client.get(f"/v1/trials/{trial}")).json()["state"]
        if state == "completed":
            assert (told.status_code, cancelled.status_code) == (200, 409)
        else:
            assert (told.status_code, cancelled.status_code) == (409, 204)
    await asyncio.to_thread(check, settings.database_url.get_secret_value())


async def test_a_retry_is_a_new_trial_of_the_same_config(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    await enqueue(app_client, study, 0.1)
    lease = str(uuid.uuid4())
    trial = (await ask(app_client, study, lease)).json()["trial"]["id"]
    early = await app_client.post(f"/v1/trials/{trial}:retry", json={})
    assert (early.status_code, early.json()["code"]) == (409, "wrong_state")
    await tell(app_client, trial, lease, kind="failed")
    made = await app_client.post(f"/v1/trials/{trial}:retry", json={})
    assert (made.status_code, made.json()["number"]) == (201, 1)
    again = (await app_client.get(f"/v1/trials/{made.json()['id']}")).json()
    assert (again["config"], again["retry_of"], again["state"]) == ({"x": 0.1}, trial, "queued")


async def test_an_ended_study_takes_no_more_trials(app_client: httpx.AsyncClient) -> None:
    study = await make(app_client)
    await enqueue(app_client, study, 0.1)
    lease = str(uuid.uuid4())
    trial = (await ask(app_client, study, lease)).json()["trial"]["id"]
    await tell(app_client, trial, lease, values={"loss": 1.0})
    await app_client.post(f"/v1/studies/{study}:stop", json={})
    imported = {"trials": [{"config": {"x": 0.3}, "values": {"loss": 1.0}}]}
    for answer in (
        await enqueue(app_client, study, 0.2),
        await app_client.post(f"/v1/studies/{study}/trials:import", json=imported),
        await app_client.post(f"/v1/trials/{trial}:retry", json={}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


async def test_stopping_a_study_beside_claims_reports_and_tells_leaves_nothing_behind(
    app_client: httpx.AsyncClient, settings: Settings
) -> None:
    study = await make(app_client)
    await enqueue(app_client, study, *(n / 100 for n in range(40)))

    async def work() -> None:
        while True:
            lease = str(uuid.uuid4())
            asked = await ask(app_client, study, lease)
            if asked.status_code != 200:
                assert asked.status_code in {202, 410}
                return
            trial = asked.json()["trial"]["id"]
            for step in range(3):
                sent = {
                    "lease_id": lease,
                    "measurements": [{"step": step, "values": {"loss": 1.0}}],
                }
                answer = await app_client.post(f"/v1/trials/{trial}/measurements", json=sent)
                if answer.json()["request"]:
                    assert answer.json()["request"]["kind"] == "stop"
                    assert (await tell(app_client, trial, lease, kind="stopped")).is_success
                    break
            else:
                assert (await tell(app_client, trial, lease)).status_code == 200

    async def stop() -> None:
        listed = f"/v1/studies/{study}/trials"
        while (
            len((await app_client.get(listed, params={"state": "completed"})).json()["items"]) < 6
        ):
            await asyncio.sleep(0)
        await app_client.post(f"/v1/studies/{study}:stop", json={})

    await asyncio.gather(*(work() for _ in range(8)), stop())
    async with asyncio.timeout(20):
        while True:
            counts = (await app_client.get(f"/v1/studies/{study}")).json()["trials"]
            if counts["queued"] == counts["running"] == 0:
                break
            await asyncio.sleep(0.05)
    assert counts["completed"] >= 6
    assert counts["cancelled"] >= 1
    await asyncio.to_thread(check, settings.database_url.get_secret_value())
