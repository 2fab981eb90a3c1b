"""Looking at a study: best, front, curves, changes, exports, batches."""

import asyncio
import csv
import io
import json
import math
import random
from typing import Any

import psycopg
import pytest
from httpx import AsyncClient

from search.pareto import non_dominated
from service.views.front import front_places


async def test_the_best_is_the_lowest_or_the_highest(
    app_client: AsyncClient, make: Any, trials: Any
) -> None:
    for name, goal, expected in (("low", "minimize", 1), ("high", "maximize", 2)):
        study = await make(name, objectives=[{"metric": "loss", "goal": goal}])
        assert (await app_client.get(f"/v1/studies/{name}/best")).json()["trial"] is None
        for loss in (0.5, 0.1, 0.9, 0.1, 0.9):
            trials.add(study, loss=loss)
        trials.add(study, state="failed")
        best = (await app_client.get(f"/v1/studies/{name}/best")).json()["trial"]
        assert best["number"] == expected
        shown = (await app_client.get(f"/v1/studies/{name}")).json()
        assert shown["best"]["number"] == expected
        listed = (await app_client.get("/v1/studies", params={"name": name})).json()["items"]
        assert listed[0]["best"] == shown["best"]
        assert listed[0]["trials"]["completed"] == 5


async def test_the_front_is_what_nothing_beats(
    app_client: AsyncClient, make: Any, trials: Any
) -> None:
    study = await make(
        objectives=[{"metric": "loss"}, {"metric": "accuracy", "goal": "maximize"}],
        searcher={"kind": "sobol"},
    )
    points = [(1, 1), (2, 2), (2, 1), (0.5, 0.5), (1, 1), (0.1, "NaN"), (3, 3)]
    for loss, accuracy in points:
        trials.add(study, loss=loss, values={"loss": loss, "accuracy": accuracy})
    trials.add(study, loss=0.0, values={"loss": 0.0})
    front = (await app_client.get("/v1/studies/digits/pareto")).json()["items"]
    assert [item["number"] for item in front] == [0, 1, 3, 4, 6]
    assert (await app_client.get("/v1/studies/digits/best")).json()["trial"] is None


@pytest.mark.parametrize("objectives", [1, 2, 3, 5])
def test_the_fast_front_is_the_plain_one(objectives: int) -> None:
    draw = random.Random(objectives)
    for size in (0, 1, 2, 50, 300):
        # Few distinct values, so that there are ties and duplicates.
        losses = [[float(draw.randrange(6)) for _ in range(objectives)] for _ in range(size)]
        assert front_places(losses) == non_dominated(losses)
    line = [[float(n)] * (objectives - 1) + [-float(n)] for n in range(500)]
    assert front_places(line) == non_dominated(line)


async def test_curves_keep_spikes_and_stay_small(
    app_client: AsyncClient, make: Any, trials: Any
) -> None:
    study = await make()
    wave = [math.sin(step / 50) for step in range(5000)]
    wave[1234], wave[4321], wave[100] = 99.0, -99.0, math.nan
    trials.add(study, loss=0.1, points={"loss": wave})
    trials.add(study, loss=0.1, points={"loss": [1.0, math.inf, math.nan]})
    trials.add(study, state="queued")
    answer = await app_client.get("/v1/studies/digits/curves", params={"points": 100})
    latest, long = answer.json()["items"]
    assert (latest["number"], latest["steps"], latest["total"]) == (1, [0, 1, 2], 3)
    assert latest["values"] == [1.0, "Infinity", "NaN"]
    assert 90 <= len(long["steps"]) <= 100
    assert (long["steps"][0], long["steps"][-1], long["total"]) == (0, 4999, 5000)
    assert long["steps"] == sorted(set(long["steps"]))
    at = dict(zip(long["steps"], long["values"], strict=True))
    assert (at[1234], at[4321]) == (99.0, -99.0)
    assert "NaN" not in at.values()
    again = await app_client.get("/v1/studies/digits/curves", params={"points": 100})
    assert again.json() == answer.json()
    for params in ({"points": 1001}, {"points": 3}, {"limit": 201}):
        assert (await app_client.get("/v1/studies/digits/curves", params=params)).status_code == 422
    none = await app_client.get("/v1/studies/digits/curves", params={"metric": "nobody"})
    assert none.json() == {"items": []}


@pytest.mark.parametrize("points", [4, 5, 7, 100, 101, 999, 1000])
async def test_thinning_holds_its_promise_at_any_size(
    app_client: AsyncClient, make: Any, trials: Any, points: int
) -> None:
    study = await make()
    trials.add(study, loss=0.1, points={"loss": [float(s % 7) for s in range(1003)]})
    curve = (await app_client.get("/v1/studies/digits/curves", params={"points": points})).json()
    assert points * 0.5 <= len(curve["items"][0]["steps"]) <= points


async def test_measurements_of_a_trial(app_client: AsyncClient, make: Any, trials: Any) -> None:
    study = await make(constraints=[{"metric": "time", "at_most": 5}], searcher={"kind": "random"})
    trial = trials.add(study, loss=0.1, points={"loss": [3.0, 2.0], "time": [1.0]})
    path = f"/v1/trials/{trial}/measurements"
    both = (await app_client.get(path)).json()["series"]
    assert [(s["metric"], s["steps"], s["values"]) for s in both] == [
        ("loss", [0, 1], [3.0, 2.0]),
        ("time", [0], [1.0]),
    ]
    one = (await app_client.get(path, params={"metric": "time"})).json()["series"]
    assert [s["metric"] for s in one] == ["time"]
    assert (await app_client.get(f"/v1/trials/{trial}")).json()["last_step"] == 1


async def test_a_trial_shows_everything(app_client: AsyncClient, make: Any, trials: Any) -> None:
    study = await make()
    trial = trials.add(study, loss=0.1)
    shown = (await app_client.get(f"/v1/trials/{trial}")).json()
    assert (shown["study"], shown["state"], shown["values"]) == (
        study["id"],
        "completed",
        {"loss": 0.1},
    )
    assert shown["attempts"][0]["worker"] == shown["worker"] == "w"
    assert "lease" not in json.dumps(shown)
    log = (await app_client.get(f"/v1/trials/{trial}/log")).json()["items"]
    assert [entry["log_tail"] for entry in log] == ["the end"]
    assert (await app_client.get("/v1/trials/nobody")).status_code == 404
    assert (await app_client.get("/v1/trials/tr_" + "a" * 22)).status_code == 404


async def test_notes_on_a_trial(app_client: AsyncClient, make: Any, trials: Any) -> None:
    study = await make()
    trial = trials.add(study, loss=0.1)
    path = f"/v1/trials/{trial}"
    await app_client.patch(path, json={"tags": ["a"], "attributes": {"x": 1, "y": {"z": [1]}}})
    shown = (await app_client.patch(path, json={"attributes": {"x": None, "w": 2}})).json()
    assert shown["attributes"] == {"y": {"z": [1]}, "w": 2}
    assert (shown["tags"], shown["notes"]) == (["a"], "")
    wide = await app_client.patch(path, json={"attributes": {f"a{n}": n for n in range(99)}})
    assert (wide.status_code, wide.json()["code"]) == (422, "limit_exceeded")
    assert (await app_client.get(path)).json()["attributes"] == shown["attributes"]
    for wrong in ({"tags": None}, {"state": "failed"}, {"told_by": "x"}, {"attempt": 9}):
        assert (await app_client.patch(path, json=wrong)).status_code == 422


async def test_changes_catch_up_and_miss_nothing(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make()
    ids = [trials.add(study, state="queued") for _ in range(3)]
    busy = trials.add(study, state="running")
    path = "/v1/studies/digits/changes"
    first = (await app_client.get(path)).json()
    assert [t["number"] for t in first["items"]] == [0, 1, 2, 3]
    assert (await app_client.get(path, params={"since": first["version"]})).json()["items"] == []
    await app_client.patch(f"/v1/trials/{ids[1]}", json={"notes": "look"})
    second = (await app_client.get(path, params={"since": first["version"]})).json()
    assert [t["number"] for t in second["items"]] == [1]
    assert second["version"] > first["version"]
    for _ in range(247):
        trials.add(study, state="queued")
    caught_up = (await app_client.get(path, params={"since": second["version"]})).json()
    second = (await app_client.get(path, params={"since": caught_up["version"]})).json()
    # Cancelled a hundred at a time, they share a version and must come together, though the one
    # before them leaves no room for 200 on a page.
    await app_client.patch(f"/v1/trials/{busy}", json={"notes": "before"})
    await app_client.post("/v1/studies/digits:stop")
    seen: set[int] = set()
    since, rounds = second["version"], 0
    while True:
        page = (await app_client.get(path, params={"since": since})).json()
        if not page["items"]:
            break
        rounds += 1
        seen |= {t["number"] for t in page["items"] if t["state"] == "cancelled"}
        since = page["version"]
    assert seen == set(range(251)) - {3}
    assert rounds > 1
    assert page["state"] == "stopped"


async def test_a_long_poll_ends_with_the_change(
    app_client: AsyncClient, make: Any, trials: Any
) -> None:
    study = await make()
    since = (await app_client.get("/v1/studies/digits/changes")).json()["version"]
    params = {"since": since, "wait": 20}
    waiting = [
        asyncio.create_task(app_client.get("/v1/studies/digits/changes", params=params))
        for _ in range(12)  # more than there are connections
    ]
    await asyncio.sleep(0.2)
    assert (await app_client.get("/v1/studies/digits")).status_code == 200
    trials.add(study, state="queued")
    async with asyncio.timeout(15):
        for answer in await asyncio.gather(*waiting):
            assert [t["number"] for t in answer.json()["items"]] == [0]
    idle = await app_client.get(
        "/v1/studies/digits/changes", params={"since": since + 1, "wait": 0.1}
    )
    assert idle.json()["items"] == []


async def test_a_long_poll_ends_when_the_study_is_stopped(
    app_client: AsyncClient, make: Any
) -> None:
    await make()
    waiting = asyncio.create_task(app_client.get("/v1/studies/digits/changes", params={"wait": 20}))
    await asyncio.sleep(0.1)
    await app_client.post("/v1/studies/digits:stop")
    async with asyncio.timeout(15):
        assert (await waiting).json()["state"] == "stopped"


async def test_exports_hold_every_trial(app_client: AsyncClient, make: Any, trials: Any) -> None:
    study = await make()
    for number in range(1001):
        trials.add(study, loss=number / 1000)
    lines = await app_client.get("/v1/studies/digits/export", params={"format": "jsonl"})
    found = [json.loads(line) for line in lines.text.splitlines()]
    assert [item["number"] for item in found] == list(range(1001))
    assert found[7]["values"] == {"loss": 0.007}
    table = await app_client.get("/v1/studies/digits/export")
    assert table.headers["Content-Type"].startswith("text/csv")
    assert table.headers["Content-Disposition"] == 'attachment; filename="digits.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert len(rows) == 1001
    assert (rows[7]["metric.loss"], rows[7]["config.optimizer"]) == ("0.007", "adamw")
    few = await app_client.get(
        "/v1/studies/digits/export", params={"where": "value<0.003", "format": "jsonl"}
    )
    assert len(few.text.splitlines()) == 3


async def test_a_spreadsheet_runs_nothing_from_an_export(
    app_client: AsyncClient, make: Any, trials: Any
) -> None:
    evil = ["=cmd()", "+1", "-1", "@x", "\tx", "plain"]
    space = {"parameters": [{"kind": "choice", "name": "=1+1", "choices": [*evil, -5]}]}
    study = await make(space=space)
    for value in [*evil, -5]:
        trials.add(study, config={"=1+1": value}, loss=-1.0, tags=["=tag()"])
    text = (await app_client.get("/v1/studies/digits/export")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["config.=1+1"] for row in rows] == [
        "'=cmd()",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "plain",
        "-5",
    ]
    assert rows[0]["tags"] == "'=tag()"
    assert rows[0]["metric.loss"] == "-1.0"  # a number is no formula


async def test_batches_are_listed(
    app_client: AsyncClient, make: Any, db: psycopg.Connection
) -> None:
    await make()
    for number in range(3):
        db.execute(
            "insert into batch (study_id, number, state, lease_id, expires_at, count, seconds,"
            " finished_at) select id, %s, 'done', gen_random_uuid(), now(), 4, 0.5, now()"
            " from study",
            (number,),
        )
    page = (await app_client.get("/v1/studies/digits/batches", params={"limit": 2})).json()
    assert [batch["number"] for batch in page["items"]] == [2, 1]
    rest = await app_client.get("/v1/studies/digits/batches", params={"cursor": page["next"]})
    assert [batch["number"] for batch in rest.json()["items"]] == [0]
    assert "lease" not in rest.text


@pytest.mark.parametrize(
    "path",
    [
        "events?format=jsonl&cursor=x",
        "export?format=csv&where=x",
        "export?format=jsonl&where=x",
    ],
)
async def test_a_stream_says_what_is_wrong_before_it_begins(
    app_client: AsyncClient, make: Any, path: str
) -> None:
    await make()
    assert (await app_client.get(f"/v1/studies/digits/{path}")).status_code == 422


async def test_streams_of_nothing_are_empty(app_client: AsyncClient, make: Any) -> None:
    await make()
    path = "/v1/studies/digits"
    assert (await app_client.get(f"{path}/export", params={"format": "jsonl"})).text == ""
    assert len((await app_client.get(f"{path}/export")).text.splitlines()) == 1
    none = await app_client.get(f"{path}/events", params={"format": "jsonl", "kind": "nothing"})
    assert (none.status_code, none.text) == (200, "")
