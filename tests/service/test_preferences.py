"""Answers of people in place of a metric: taken, kept, refused, and what they make the best."""

import asyncio
from typing import Any

import psycopg
import pytest
from httpx import AsyncClient

TASTE = [{"metric": "taste", "goal": "maximize", "by": "preference"}]


@pytest.fixture
async def study(make: Any) -> Any:
    return await make(objectives=TASTE)


def numbers(answer: Any) -> list[list[int]]:
    items = answer.get("preferences", answer.get("items"))
    return [[trial["number"] for trial in item["ranking"]] for item in items]


async def prefer(client: AsyncClient, *rankings: Any, **headers: str) -> Any:
    body = {"rankings": list(rankings)}
    return await client.post("/v1/studies/digits/preferences", json=body, headers=headers)


async def test_answers_are_kept_in_order_by_number_or_id(
    app_client: AsyncClient, study: Any, trials: Any
) -> None:
    ids = [trials.add(study) for _ in range(4)]
    answer = await prefer(app_client, [2, 0], [ids[3], 1, ids[0]])
    assert answer.status_code == 201, answer.text
    assert numbers(answer.json()) == [[2, 0], [3, 1, 0]]
    assert answer.json()["preferences"][1]["ranking"][0] == {"id": ids[3], "number": 3}
    await prefer(app_client, [0, 2])  # contradicts the first, and is taken
    listed = (await app_client.get("/v1/studies/digits/preferences?limit=2")).json()
    assert numbers(listed) == [[2, 0], [3, 1, 0]]
    query = {"limit": 2, "cursor": listed["next"]}
    rest = (await app_client.get("/v1/studies/digits/preferences", params=query)).json()
    assert numbers(rest) == [[0, 2]]
    assert rest["next"] is None
    events = await app_client.get("/v1/studies/digits/events?kind=preferences_given")
    details = [event["detail"] for event in events.json()["items"]]
    assert details == [{"rankings": 2, "pairs": 3}, {"rankings": 1, "pairs": 1}]


async def test_the_best_is_whom_the_answers_speak_for(
    app_client: AsyncClient, study: Any, trials: Any
) -> None:
    for _ in range(5):
        trials.add(study)
    best = (await app_client.get("/v1/studies/digits/best")).json()
    assert best["trial"] is None
    # 1 beats three others, 4 beats 1: more wins do not outweigh being beaten.
    await prefer(app_client, [1, 0], [1, 2], [1, 3], [4, 1])
    best = (await app_client.get("/v1/studies/digits/best")).json()
    assert best["trial"]["number"] == 4
    assert (best["by"], best["seen"]) == ("preference", 4)
    assert best["mean"] > 0
    (item,) = (await app_client.get("/v1/studies")).json()["items"]
    assert (item["best"]["number"], item["best"]["value"]) == (4, best["mean"])


async def test_without_a_contradiction_solved_ties_go_to_the_lower_number(
    app_client: AsyncClient, study: Any, trials: Any
) -> None:
    for _ in range(3):
        trials.add(study)
    await prefer(app_client, [2, 1], [1, 2])
    best = (await app_client.get("/v1/studies/digits/best")).json()
    assert best["trial"]["number"] == 1


@pytest.mark.parametrize(
    ("rankings", "field"),
    [
        ([[0, 1], [1, 9]], "rankings.1.1"),
        ([[0, "tr_0000000000000000000000"]], "rankings.0.1"),
        ([[0, 1, 0]], "rankings.0.2"),
        ([[0, 2]], "rankings.0.1"),  # running
        ([[3, 0]], "rankings.0.0"),  # infeasible
        ([[0]], "rankings.0"),
        ([], "rankings"),
        ([[0] * 101], "rankings.0"),
        ([["' or 1=1 --", 0]], "rankings.0.0"),
    ],
)
async def test_a_wrong_answer_is_named_and_nothing_is_kept(
    app_client: AsyncClient, study: Any, trials: Any, rankings: Any, field: str
) -> None:
    trials.add(study, loss=0.5)
    trials.add(study, loss=0.5)
    trials.add(study, state="running")
    trials.add(study, state="infeasible", reason="bad")
    answer = await prefer(app_client, *rankings)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await app_client.get("/v1/studies/digits/preferences")).json()["items"] == []


@pytest.mark.parametrize(
    "bad", [-1, 2**31, 10**30, 1.5, True, None, "", "\x00", "x" * 65, [0], {"id": 0}]
)
async def test_hostile_references_are_refused(
    app_client: AsyncClient, study: Any, trials: Any, bad: Any
) -> None:
    trials.add(study)
    trials.add(study)
    assert (await prefer(app_client, [bad, 1])).status_code in {400, 422}


async def test_a_trial_of_another_study_is_unknown_here(
    app_client: AsyncClient, make: Any, study: Any, trials: Any
) -> None:
    trials.add(study)
    theirs = trials.add(await make("other", objectives=TASTE))
    answer = await prefer(app_client, [0, theirs])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "rankings.0.1"


async def test_the_same_trial_by_id_and_by_number_is_the_same(
    app_client: AsyncClient, study: Any, trials: Any
) -> None:
    public_id = trials.add(study)
    assert (await prefer(app_client, [0, public_id])).status_code == 422


async def test_a_repeated_request_is_one_answer(
    app_client: AsyncClient, study: Any, trials: Any
) -> None:
    trials.add(study)
    trials.add(study)
    key = {"Idempotency-Key": "k1"}
    first, *others = await asyncio.gather(*(prefer(app_client, [1, 0], **key) for _ in range(4)))
    assert {first.status_code, *(other.status_code for other in others)} == {201}
    assert all(other.json() == first.json() for other in others)
    assert len((await app_client.get("/v1/studies/digits/preferences")).json()["items"]) == 1
    assert (await prefer(app_client, [0, 1], **key)).json()["code"] == "idempotency_mismatch"


async def test_answers_given_at_once_are_all_kept_each_with_a_version_of_its_own(
    app_client: AsyncClient, study: Any, trials: Any, db: psycopg.Connection
) -> None:
    trials.add(study)
    trials.add(study)
    await asyncio.gather(*(prefer(app_client, [1, 0]) for _ in range(8)))
    rows = db.execute("select version from preference order by id").fetchall()
    assert len(rows) == 8
    assert rows == sorted(set(rows))


async def test_a_study_by_metric_takes_no_answers(
    app_client: AsyncClient, make: Any, trials: Any
) -> None:
    made = await make()
    trials.add(made, loss=1.0)
    trials.add(made, loss=2.0)
    answer = await prefer(app_client, [0, 1])
    assert answer.status_code == 422
    assert "metric" in answer.json()["detail"]


async def test_answers_are_their_projects_and_need_the_right_to_write(
    app_client: AsyncClient, study: Any, trials: Any, keys_in: Any, db: Any, settings: Any
) -> None:
    trials.add(study)
    trials.add(study)
    keys = keys_in(db, settings)
    assert (await prefer(app_client, [0, 1], **keys("read"))).status_code == 403
    assert (await prefer(app_client, [0, 1], **keys("write", project="p2"))).status_code == 404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"searcher": {"kind": "gp"}}, "unsupported_study"),
        ({"searcher": {"kind": "grid"}}, "unsupported_study"),
        ({"scheduler": {"kind": "median"}}, "invalid_request"),
        ({"budget": {"target": 1.0}}, "invalid_request"),
        ({"budget": {"min_expected_gain": 0.1}}, "unsupported_study"),
        ({"searcher": {"kind": "botorch", "acquisition": "kg"}}, "unsupported_study"),
        ({"transfer": ["st_0000000000000000000000"]}, "invalid_request"),
        ({"constraints": [{"metric": "ms", "at_most": 1}]}, "invalid_request"),
        ({"objectives": [*TASTE, {"metric": "loss"}]}, "invalid_request"),
        ({"objectives": [{"metric": "taste", "by": "preference"}]}, "invalid_request"),
    ],
)
async def test_what_goes_with_a_metric_only_is_refused(
    shared_client: AsyncClient, space: Any, changes: Any, code: str
) -> None:
    body = {"name": "s", "space": space, "objectives": TASTE, **changes}
    answer = await shared_client.post("/v1/studies", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_answers_go_with_their_study(
    app_client: AsyncClient, study: Any, trials: Any, db: psycopg.Connection
) -> None:
    trials.add(study)
    trials.add(study)
    await prefer(app_client, [0, 1])
    assert (await app_client.delete("/v1/studies/digits")).status_code in {202, 204}
    async with asyncio.timeout(10):
        while db.execute("select count(*) from preference").fetchone() != (0,):
            await asyncio.sleep(0.05)
