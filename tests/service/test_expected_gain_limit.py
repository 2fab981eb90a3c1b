"""Studies that end because little is left to gain: the rule, the API, two at once."""

import asyncio
from typing import Any

import pytest
from httpx import AsyncClient

from service.studies.completion import complete_if_done

X = {"parameters": [{"kind": "float", "name": "x", "low": 0.0, "high": 1.0}]}
LIMIT = {"min_expected_gain": 0.01, "patience": 3}


@pytest.fixture
def batches(db: Any) -> Any:
    """Put finished batches into the study: (results seen, expected gain) each."""

    def add(*made: tuple[int, float | None]) -> None:
        for seen, gain in made:
            db.execute(
                "insert into batch (study_id, number, state, lease_id, expires_at, count,"
                " finished_at, seen, expected_gain)"
                " select s.id, (select count(*) from batch), 'done', gen_random_uuid(), now(), 1,"
                " now(), %s, %s from study s where s.deleted_at is null",
                (seen, gain),
            )

    return add


async def done(client: AsyncClient) -> bool:
    async with client.app.state.resources.hot.connection() as connection, connection.transaction():
        cursor = await connection.execute("select id from study")
        (study_id,) = await cursor.fetchone()
        return await complete_if_done(connection, study_id)


@pytest.mark.parametrize(
    ("made", "ends"),
    [
        ([(1, 0.001), (2, 0.001)], False),  # not often enough
        ([(1, 0.001), (2, 0.001), (3, 0.001)], True),
        ([(1, 0.001), (2, 0.02), (3, 0.001)], False),  # not in a row
        ([(1, 0.02), (2, 0.001), (3, 0.001), (4, 0.001)], True),
        ([(1, 0.001), (2, 0.001), (3, 0.01)], False),  # not less
        ([(1, 0.001), (1, 0.001), (1, 0.001)], False),  # one result, three batches
        ([(1, 0.001), (2, 0.001), (3, 0.02), (3, 0.001)], False),  # the larger of both
        ([(1, 0.001), (2, 0.001), (3, None), (4, 0.001)], True),  # Sobol says nothing
        ([(1, None), (2, None), (3, None)], False),
    ],
)
async def test_the_rule(app_client, make, batches, made, ends):
    await make(space=X, budget=LIMIT)
    batches(*made)
    assert await done(app_client) is ends
    assert not await done(app_client)


async def test_the_reason_holds_the_numbers(app_client, make, batches):
    study = await make(space=X, budget=LIMIT)
    batches((1, 0.002), (2, 0.0031), (3, 0.001))
    assert await done(app_client)
    found = (await app_client.get(f"/v1/studies/{study['id']}")).json()
    assert found["state"] == "completed"
    assert found["state_reason"] == (
        "gain: at most 0.0031 was expected in each of the last 3 batches that knew new results, "
        "less than 0.01"
    )
    events = (await app_client.get(f"/v1/studies/{study['id']}/events")).json()["items"]
    assert [event["detail"] for event in events if event["kind"] == "study_completed"] == [
        {"reason": "gain", "expected_gain": 0.0031, "min_expected_gain": 0.01, "patience": 3}
    ]
    shown = (await app_client.get(f"/v1/studies/{study['id']}/batches")).json()["items"][0]
    assert (shown["seen"], shown["expected_gain"]) == (3, 0.001)


async def test_two_suggesters_end_it_once(app_client, make, batches, db):
    await make(space=X, budget=LIMIT)
    batches((1, 0.002), (2, 0.002), (3, 0.002))
    ended = await asyncio.gather(*(done(app_client) for _ in range(6)))
    assert sum(ended) == 1
    count = db.execute("select count(*) from event where kind = 'study_completed'").fetchone()
    assert count == (1,)


async def test_running_trials_follow_as_for_any_limit(app_client, make, trials, batches, db):
    from service.studies.sweeper import sweep

    study = await make(space=X, budget=LIMIT)
    trials.add(study, state="running", config={"x": 0.5})
    batches((1, 0.002), (2, 0.002), (3, 0.002))
    assert await done(app_client)
    await sweep(app_client.app.state.resources.hot)
    assert db.execute("select request, request_reason from lease").fetchone() == (
        "stop",
        "the study is completed",
    )


async def test_nothing_at_all_is_never_less_than_nothing(app_client, make, batches):
    await make(space=X, budget={"min_expected_gain": 0})
    batches(*((seen, 0.0) for seen in range(20)))
    assert not await done(app_client)


async def test_it_may_be_changed_like_any_limit(app_client, make, batches):
    study = await make(space=X)
    path = f"/v1/studies/{study['id']}"
    batches(*((seen, 0.5) for seen in range(8)))

    async def change(**budget: Any) -> dict[str, Any]:
        answer = await app_client.patch(path, json={"budget": budget}, headers={"If-Match": "*"})
        return answer.json()

    found = await change(min_expected_gain=0.1)
    assert (found["state"], found["budget"]["patience"]) == ("active", 5)
    assert (await change(min_expected_gain=1.0, patience=9))["state"] == "active"
    assert (await change(min_expected_gain=1.0, patience=8))["state"] == "completed"
    again = await app_client.post(f"{path}:resume")
    assert again.status_code == 409
    assert (await change())["budget"]["min_expected_gain"] is None
    assert (await app_client.post(f"{path}:resume")).json()["state"] == "active"


@pytest.mark.parametrize("searcher", ["random", "sobol", "grid"])
async def test_a_searcher_without_a_model_is_refused(app_client, make, searcher):
    body = {
        "name": "s",
        "space": {"parameters": [{"kind": "choice", "name": "c", "choices": ["a", "b"]}]},
        "objectives": [{"metric": "loss"}],
        "searcher": {"kind": searcher},
        "budget": LIMIT,
    }
    answer = await app_client.post("/v1/studies", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_study")
    assert "does not say what gain to expect" in answer.json()["detail"]
    study = await make(space=body["space"], searcher=body["searcher"])
    changed = await app_client.patch(
        f"/v1/studies/{study['id']}", json={"budget": LIMIT}, headers={"If-Match": "*"}
    )
    assert changed.json()["code"] == "unsupported_study"


@pytest.mark.parametrize(
    "budget",
    [{"patience": 3}, {"min_expected_gain": -1.0}, {"min_expected_gain": 1.0, "patience": 0}],
)
async def test_budgets_that_make_no_sense_are_refused(app_client, budget):
    body = {"name": "s", "space": X, "objectives": [{"metric": "loss"}], "budget": budget}
    answer = await app_client.post("/v1/studies", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
