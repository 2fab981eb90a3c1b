"""Studies over HTTP: made, listed, changed, deleted."""

import asyncio
from typing import Any

import psycopg
import pytest
from httpx import AsyncClient


async def test_a_study_needs_little_and_says_everything(app_client: AsyncClient, make: Any) -> None:
    made = await make()
    assert made["state"] == "active"
    assert made["space"]["parameters"][2]["when"] == [{"parameter": "optimizer", "in": ["sgd"]}]
    assert made["searcher"]["kind"] == made["scheduler"]["kind"] == "auto"
    assert set(made["trials"].values()) == {0}
    assert made["best"] is None
    for reference in (made["id"], "digits"):
        answer = await app_client.get(f"/v1/studies/{reference}")
        assert answer.json() == made
        assert answer.headers["ETag"] == '"1"'


async def test_a_name_is_taken_once(app_client: AsyncClient, make: Any, space: Any) -> None:
    await make()
    again = await app_client.post(
        "/v1/studies", json={"name": "digits", "space": space, "objectives": [{"metric": "loss"}]}
    )
    assert (again.status_code, again.json()["code"]) == (409, "study_exists")
    assert (await app_client.delete("/v1/studies/digits")).status_code == 204
    await make()  # free again


async def test_two_creations_of_one_name_at_once(app_client: AsyncClient, space: Any) -> None:
    body = {"name": "digits", "space": space, "objectives": [{"metric": "loss"}]}
    answers = await asyncio.gather(*(app_client.post("/v1/studies", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_a_repeat_with_the_same_key_gets_the_same_answer(
    app_client: AsyncClient, space: Any
) -> None:
    body = {"name": "digits", "space": space, "objectives": [{"metric": "loss"}]}
    headers = {"Idempotency-Key": "abc"}
    answers = await asyncio.gather(
        *(app_client.post("/v1/studies", json=body, headers=headers) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert all(answer.json() == answers[0].json() for answer in answers)
    other = await app_client.post("/v1/studies", json={**body, "seed": 1}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_defaults_come_first_then_what_was_given(app_client: AsyncClient, make: Any) -> None:
    space = {
        "parameters": [
            {"kind": "float", "name": "x", "low": 0, "high": 1, "default": 0.5},
            {"kind": "int", "name": "n", "low": 1, "high": 9, "default": 3},
        ]
    }
    made = await make(space=space, first=[{"x": 0.1, "n": 1}, {"x": 0.5, "n": 3}])
    assert made["trials"]["queued"] == 2
    items = (await app_client.get("/v1/studies/digits/trials")).json()["items"]
    assert [(t["number"], t["config"], t["origin"]["by"]) for t in items] == [
        (0, {"x": 0.5, "n": 3}, "defaults"),
        (1, {"x": 0.1, "n": 1}, "user"),
    ]


async def test_what_was_given_comes_before_defaults_when_the_budget_is_short(
    app_client: AsyncClient, make: Any
) -> None:
    space = {"parameters": [{"kind": "float", "name": "x", "low": 0, "high": 1, "default": 0.5}]}
    await make(space=space, first=[{"x": 0.1}], budget={"trials": 1})
    items = (await app_client.get("/v1/studies/digits/trials")).json()["items"]
    assert [t["config"] for t in items] == [{"x": 0.1}]


@pytest.mark.parametrize(
    ("first", "field"),
    [
        ([{"lr": 5.0, "optimizer": "adamw", "batch, size": 1}], "first.0.lr"),
        ([{"optimizer": "adamw", "batch, size": 1}], "first.0.lr"),
        (
            [{"lr": 0.01, "optimizer": "adamw", "batch, size": 1, "momentum": 0.5}],
            "first.0.momentum",
        ),
        ([{"lr": 0.01, "optimizer": "adamw", "batch, size": 1}] * 2, "first.1"),
    ],
)
async def test_a_wrong_first_config_is_named(
    shared_client: AsyncClient, space: Any, first: Any, field: str
) -> None:
    body = {"name": "s", "space": space, "objectives": [{"metric": "loss"}], "first": first}
    answer = await shared_client.post("/v1/studies", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await shared_client.get("/v1/studies/s")).status_code == 404


@pytest.mark.parametrize(
    ("searcher", "reason"),
    [
        ({"kind": "gp"}, "it takes one objective"),
        ({"kind": "botorch", "acquisition": "kg"}, "acquisition 'kg' takes one objective"),
        ({"kind": "botorch", "input_noise": {"nobody": 0.1}}, "not a parameter"),
    ],
)
async def test_a_searcher_that_cannot_serve_the_study_is_refused_with_reasons(
    app_client: AsyncClient, space: Any, searcher: dict[str, Any], reason: str
) -> None:
    body = {
        "name": "two",
        "space": space,
        "objectives": [{"metric": "loss"}, {"metric": "latency"}],
        "searcher": searcher,
    }
    answer = await app_client.post("/v1/studies", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_study")
    assert reason in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "more",
    [
        {"state": "completed"},
        {"project_id": 2},
        {"name": "st_" + "a" * 22},
        {"name": "../../etc/passwd"},
        {"searcher": {"kind": "sobol", "surprise": 1}},
        {"searcher": {"kind": "nobody"}},
        {"objectives": [{"metric": "loss"}, {"metric": "loss"}]},
        {"objectives": []},
        {"budget": {"trials": 0}},
        {"budget": {"trials": True}},
        {"budget": {"trials": "3"}},
        {"managed": {"run": {"kind": "program", "path": "../secret.py:main"}}},
        {"managed": {"run": {"kind": "program", "path": "a/../../b.py:main"}}},
        {"managed": {"run": {"kind": "program", "path": "/etc/x.py:main"}}},
        {"tags": ["x"] * 51},
    ],
)
async def test_what_is_wrong_is_refused(
    shared_client: AsyncClient, space: Any, more: dict[str, Any]
) -> None:
    body = {"name": "s", "space": space, "objectives": [{"metric": "loss"}], **more}
    answer = await shared_client.post("/v1/studies", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_lists_are_filtered_and_paged(app_client: AsyncClient, make: Any) -> None:
    run = {"kind": "recipe", "name": "torch-classifier"}
    for number in range(5):
        await make(f"run-{number}", tags=["even" if number % 2 == 0 else "odd"])
    await make("other", managed={"run": run})
    await app_client.post("/v1/studies/run-3:pause", json={})

    async def names(**params: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = (await app_client.get("/v1/studies", params={"limit": 2, **params})).json()
            found += [item["name"] for item in page["items"]]
            if page["next"] is None:
                return found
            params["cursor"] = page["next"]

    assert await names() == ["other", "run-4", "run-3", "run-2", "run-1", "run-0"]
    assert await names(name="RUN") == ["run-4", "run-3", "run-2", "run-1", "run-0"]
    assert await names(tag="odd") == ["run-3", "run-1"]
    assert await names(state="paused") == ["run-3"]
    assert await names(state=["paused", "active"], tag="odd") == ["run-3", "run-1"]
    assert await names(managed=True) == ["other"]
    assert (await app_client.get("/v1/studies", params={"nme": "x"})).status_code == 422
    assert (await app_client.get("/v1/studies", params={"cursor": "xyz"})).status_code == 422
    assert (await app_client.get("/v1/studies", params={"limit": 201})).status_code == 422


async def test_a_patch_changes_what_it_names(app_client: AsyncClient, make: Any) -> None:
    made = await make(budget={"trials": 9}, notes="old", max_running=2)
    answer = await app_client.patch(
        "/v1/studies/digits",
        json={"notes": "new", "max_running": None, "tags": ["a"]},
        headers={"If-Match": '"1"'},
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    changed = {key for key in made if made[key] != body[key]}
    assert changed == {"notes", "max_running", "tags", "revision"}
    assert (body["notes"], body["max_running"], body["tags"]) == ("new", None, ["a"])
    assert answer.headers["ETag"] == '"2"'


async def test_a_study_is_handed_to_the_fleet_and_taken_back(
    app_client: AsyncClient, make: Any
) -> None:
    await make(budget={"trials": 9})
    run = {"kind": "program", "path": "train.py:main"}
    for managed in ({"run": run, "parallel": 2, "resources": {"gpu": 0.5}}, None):
        answer = await app_client.patch(
            "/v1/studies/digits", json={"managed": managed}, headers={"If-Match": "*"}
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["budget"]["trials"] == 9
        listed = (await app_client.get("/v1/studies", params={"managed": True})).json()["items"]
        assert [item["managed"]["parallel"] for item in listed] == ([2] if managed else [])
    await app_client.patch(
        "/v1/studies/digits", json={"budget": {"hours": 2}}, headers={"If-Match": "*"}
    )
    budget = (await app_client.get("/v1/studies/digits")).json()["budget"]
    assert budget.pop("hours") == 2.0
    assert set(budget.values()) == {None}  # a budget is given as a whole


async def test_a_patch_says_what_it_has_read(app_client: AsyncClient, make: Any) -> None:
    await make()
    await make("other")

    async def patch(body: Any, **headers: str) -> tuple[int, str]:
        answer = await app_client.patch("/v1/studies/digits", json=body, headers=headers)
        return answer.status_code, answer.json().get("code", "")

    assert await patch({"notes": "x"}) == (428, "precondition_required")
    assert await patch({"notes": "x"}, **{"If-Match": '"7"'}) == (412, "revision_conflict")
    assert await patch({"notes": "x"}, **{"If-Match": "1"}) == (412, "revision_conflict")
    assert await patch({"name": "other"}, **{"If-Match": '"1"'}) == (409, "study_exists")
    assert await patch({"name": None}, **{"If-Match": '"1"'}) == (422, "invalid_request")
    assert await patch({"state": "paused"}, **{"If-Match": '"1"'}) == (422, "invalid_request")
    assert await patch({"name": "renamed"}, **{"If-Match": "*"}) == (200, "")
    assert (await app_client.get("/v1/studies/renamed")).json()["revision"] == 2


async def test_of_two_patches_at_once_one_wins(app_client: AsyncClient, make: Any) -> None:
    await make()
    answers = await asyncio.gather(
        *(
            app_client.patch(
                "/v1/studies/digits", json={"notes": f"{n}"}, headers={"If-Match": '"1"'}
            )
            for n in range(4)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


async def test_a_deleted_study_is_gone_and_its_rows_follow(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make()
    trial = trials.add(study, loss=1.0, points={"loss": [1.0, 2.0]})
    trials.add(study, state="running")
    assert (await app_client.delete("/v1/studies/digits")).status_code == 204
    for path in ("/v1/studies/digits", f"/v1/studies/{study['id']}", f"/v1/trials/{trial}"):
        assert (await app_client.get(path)).status_code == 404
    assert (await app_client.delete("/v1/studies/digits")).status_code == 404
    from service.studies.sweeper import sweep

    await sweep(app_client.app.state.resources.hot)
    for table in ("trial", "metric", "lease", "attempt", "event"):
        assert db.execute(f"select count(*) from {table}").fetchone() == (0,), table
    assert db.execute("select state, settled from study").fetchall() == [("deleted", True)]


async def test_what_happened_is_recorded(app_client: AsyncClient, make: Any) -> None:
    await make()
    await app_client.patch("/v1/studies/digits", json={"notes": "x"}, headers={"If-Match": '"1"'})
    await app_client.post("/v1/studies/digits:pause", json={"now": True})
    await app_client.post("/v1/studies/digits:resume")
    await app_client.post("/v1/studies/digits:stop", json={"reason": "enough"})
    page = (await app_client.get("/v1/studies/digits/events", params={"limit": 3})).json()
    rest = await app_client.get("/v1/studies/digits/events", params={"cursor": page["next"]})
    assert [event["kind"] for event in page["items"] + rest.json()["items"]] == [
        "study_created",
        "study_changed",
        "study_paused",
        "study_resumed",
        "study_stopped",
    ]
    lines = await app_client.get("/v1/studies/digits/events", params={"format": "jsonl"})
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    assert len(lines.text.splitlines()) == 5
