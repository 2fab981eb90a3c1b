"""Explanations and the best of noisy trials, from results to answers, with real processes."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from httpx import AsyncClient, Response

from service.db.engine import make_hot_pool
from service.insights import store
from service.settings import Settings
from service.suggester.children import Child, Lane, TookTooLong
from service.suggester.insights import Insights
from service.suggester.process import serve

X = {"parameters": [{"kind": "float", "name": "x", "low": 0.0, "high": 1.0}]}
NOISY = [{"metric": "loss", "noisy": True}]


@pytest.fixture
async def pool(app_client: AsyncClient, settings: Settings) -> AsyncIterator[Any]:
    """Connections of a suggester's own."""
    found = make_hot_pool(settings)
    await found.open()
    yield found
    await found.close()


@pytest.fixture(scope="module")
async def lane() -> AsyncIterator[Lane]:
    """A process to compute in; it takes seconds to start."""
    found = Lane(1)
    yield found
    await found.close()


@pytest.fixture
def insights(pool: Any, lane: Lane) -> Insights:
    """What the suggester runs."""
    return Insights(pool, lane, fit_seconds=30, lease_seconds=15)


async def ask(client: AsyncClient, study: dict[str, Any], **query: Any) -> Response:
    path = f"/v1/studies/{study['id']}/explanation"
    return await client.get(path, params={"wait": 0} | query)


def fill(trials: Any, study: dict[str, Any], count: int, start: int = 0) -> None:
    for n in range(start, start + count):
        x = (n * 0.37) % 1.0
        trials.add(study, config={"x": x}, loss=(x - 0.3) ** 2)


async def test_an_explanation_is_worked_out_when_asked_for(app_client, make, trials, insights):
    study = await make(space=X)
    fill(trials, study, 12)
    assert not await insights.work()  # nobody has asked
    waiting = await ask(app_client, study)
    assert waiting.status_code == 202
    assert waiting.headers["Retry-After"] == "2"
    assert waiting.json() == {"retry_after": 2.0}
    assert await insights.work()
    answer = await ask(app_client, study)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["seen"], body["finished"]) == (12, 12)
    found = body["explanation"]
    assert (found["metric"], found["trials"], found["measured"]) == ("loss", 12, 12)
    assert found["importance"][0]["total"] == pytest.approx(1.0, abs=0.01)
    curve = found["dependence"][0]
    assert curve["values"][6] == pytest.approx(0.3)
    assert curve["mean"][6] == pytest.approx(0.0, abs=0.01)
    assert found["because"] is None
    assert not await insights.work()  # nothing new


async def test_new_results_make_it_new_and_the_old_one_says_that_it_is_old(
    app_client, make, trials, insights
):
    study = await make(space=X)
    fill(trials, study, 3)
    await ask(app_client, study)
    await insights.work()
    fill(trials, study, 2, start=3)
    body = (await ask(app_client, study)).json()
    assert (body["seen"], body["finished"]) == (3, 5)
    waiting = asyncio.create_task(ask(app_client, study, wait=20))
    while not await insights.work():
        await asyncio.sleep(0.01)
    body = (await waiting).json()
    assert (body["seen"], body["finished"]) == (5, 5)
    assert body["explanation"]["trials"] == 5


async def test_a_study_without_results_is_told_why(app_client, make, insights):
    study = await make(space=X)
    assert (await ask(app_client, study)).status_code == 202
    await insights.work()
    body = (await ask(app_client, study)).json()
    assert body["seen"] == 0
    assert body["explanation"]["because"] == "fewer than two trials have a finite result"


async def test_any_metric_of_the_study_may_be_asked_for_and_no_other(
    app_client, make, trials, insights
):
    study = await make(
        space=X,
        objectives=[{"metric": "loss"}, {"metric": "score", "goal": "maximize"}],
        constraints=[{"metric": "memory", "at_most": 5.0}],
    )
    for n in range(12):
        x = n / 12
        trials.add(
            study, config={"x": x}, loss=x, values={"loss": x, "score": 1 - x, "memory": 2 * x}
        )
    for metric, end in (("score", 0.0), ("memory", 2.0)):
        await ask(app_client, study, metric=metric)
        await insights.work()
        found = (await ask(app_client, study, metric=metric)).json()["explanation"]
        assert found["metric"] == metric
        assert found["dependence"][0]["mean"][-1] == pytest.approx(end, abs=0.1)
    wrong = await ask(app_client, study, metric="other")
    assert wrong.status_code == 422
    assert "expected one of loss, score, memory" in wrong.json()["detail"]


async def test_two_suggesters_do_it_once(app_client, make, trials, pool):
    study = await make(space=X)
    fill(trials, study, 3)
    await ask(app_client, study)

    async def take() -> store.Work | None:
        async with pool.connection() as connection:
            return await store.claim(connection, seconds=15)

    taken = await asyncio.gather(*(take() for _ in range(6)))
    assert sum(work is not None for work in taken) == 1


async def test_who_has_lost_its_lease_writes_nothing(app_client, make, trials, insights, pool, db):
    study = await make(space=X)
    fill(trials, study, 3)
    await ask(app_client, study)
    async with pool.connection() as connection:
        late = await store.claim(connection, seconds=15)
    assert late is not None
    assert not await insights.work()
    db.execute("update insight set expires_at = clock_timestamp() - interval '1 second'")
    assert await insights.work()
    async with pool.connection() as connection:
        assert not await store.finish(connection, late, {"a": 1}, seen=99, seconds=1)
    assert (await ask(app_client, study)).json()["seen"] == 3


async def test_what_takes_too_long_is_said_and_not_tried_for_ever(
    app_client, make, trials, insights, monkeypatch
):
    async def slow(self: Child, task: object, seconds: float) -> None:
        raise TookTooLong(f"took more than {seconds:g} s")

    monkeypatch.setattr(Child, "inquire", slow)
    bound = {"metric": "accuracy", "at_least": 0.9}
    study = await make(space=X, objectives=NOISY, constraints=[bound])
    fill(trials, study, 3)
    await ask(app_client, study, metric="accuracy")
    assert await insights.work()
    assert await insights.work()
    assert not await insights.work()
    found = (await ask(app_client, study, metric="accuracy")).json()["explanation"]
    assert found["because"] == "working it out took more than 30 s"
    assert found["goal"] == "maximize"
    best = (await app_client.get(f"/v1/studies/{study['id']}/best")).json()
    assert best["by"] == "measured"


async def test_what_breaks_for_one_study_does_not_break_the_others(
    app_client, make, trials, insights, db, monkeypatch
):
    study = await make(space=X)
    fill(trials, study, 3)
    await ask(app_client, study)
    with monkeypatch.context() as broken:
        broken.setattr("service.suggester.insights.read_changed", None)
        assert await insights.work()
    assert not await insights.work()  # not at once
    db.execute("update insight set expires_at = clock_timestamp() - interval '1 second'")
    assert await insights.work()
    assert (await ask(app_client, study)).status_code == 200


async def test_a_suggester_that_ends_leaves_its_work_to_others(
    app_client, make, trials, insights, monkeypatch
):
    begun = asyncio.Event()

    async def endless(self: Child, task: object, seconds: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    study = await make(space=X)
    fill(trials, study, 3)
    await ask(app_client, study)
    with monkeypatch.context() as slow:
        slow.setattr(Child, "inquire", endless)
        working = asyncio.create_task(insights.work())
        await begun.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert await insights.work()
    assert (await ask(app_client, study)).json()["seen"] == 3


async def test_a_deleted_study_is_not_worked_on(app_client, make, trials, insights, db):
    study = await make(space=X, objectives=NOISY)
    fill(trials, study, 3)
    await ask(app_client, study)
    await app_client.delete(f"/v1/studies/{study['id']}")
    assert not await insights.work()
    assert (await ask(app_client, study)).status_code == 404


async def test_a_suggester_answers_whoever_waits(app_client, make, trials, settings):
    study = await make(space=X)
    fill(trials, study, 6)
    suggester = asyncio.create_task(serve(settings))
    try:
        answer = await ask(app_client, study, wait=20)
        assert answer.status_code == 200
        assert answer.json()["seen"] == 6
    finally:
        suggester.cancel()
        await asyncio.gather(suggester, return_exceptions=True)


async def test_a_study_by_preference_is_explained_by_what_was_answered(
    app_client, make, trials, insights
):
    taste = [{"metric": "taste", "goal": "maximize", "by": "preference"}]
    study = await make(space=X, objectives=taste)
    for n in range(10):
        trials.add(study, config={"x": n / 10})
    await ask(app_client, study)
    assert await insights.work()
    body = (await ask(app_client, study)).json()
    assert body["explanation"]["because"] == "fewer than 2 preferences have been given"
    assert body["seen"] == 10
    rankings = {"rankings": [[n + 1, n] for n in range(9)]}
    path = f"/v1/studies/{study['id']}"
    await app_client.post(f"{path}/preferences", json=rankings)
    old = (await ask(app_client, study)).json()
    assert (old["seen"], old["finished"]) == (10, 19)
    assert await insights.work()
    body = (await ask(app_client, study)).json()
    assert (body["seen"], body["finished"]) == (19, 19)
    found = body["explanation"]
    assert (found["metric"], found["measured"]) == ("taste", 10)
    assert found["answers"] == {"answers": 9, "foretold": 1.0, "warning": None}
    curve = found["dependence"][0]["mean"]
    assert curve[0] < curve[10] < curve[20]


# The best of noisy trials


async def best_of(
    client: AsyncClient, study: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    best = (await client.get(f"/v1/studies/{study['id']}/best")).json()
    summary = (await client.get(f"/v1/studies/{study['id']}")).json()["best"]
    assert (summary["trial"], summary["by"]) == (best["trial"]["id"], best["by"])
    assert (summary["mean"], summary["sd"], summary["seen"]) == tuple(
        best[name] for name in ("mean", "sd", "seen")
    )
    return best, summary


async def test_the_best_of_noisy_trials_is_not_the_luckiest(app_client, make, trials, insights):
    study = await make(space=X, objectives=NOISY)
    for n in range(24):
        x = n / 23
        trials.add(study, config={"x": x}, loss=10 * (x - 0.3) ** 2 + 0.3 * math.sin(977.0 * n))
    lucky = trials.add(study, config={"x": 0.61}, loss=-0.35)  # 10 * 0.31^2 = 0.96 in truth
    best, summary = await best_of(app_client, study)
    assert (best["by"], best["trial"]["id"], best["mean"]) == ("measured", lucky, None)
    assert await insights.work()
    best, summary = await best_of(app_client, study)
    assert best["by"] == "posterior_mean"
    assert best["trial"]["id"] != lucky
    assert abs(best["trial"]["config"]["x"] - 0.3) < 0.15
    assert best["mean"] == pytest.approx(0.0, abs=0.2)
    assert 0 < best["sd"] < 0.5
    assert best["seen"] == 25
    assert summary["value"] == best["trial"]["values"]["loss"]
    listed = (await app_client.get("/v1/studies")).json()["items"][0]["best"]
    assert listed == summary


async def test_it_is_kept_up_to_date_in_a_tenth_of_the_time(app_client, make, trials, insights, db):
    study = await make(space=X, objectives=NOISY)
    fill(trials, study, 5)
    assert await insights.work()
    fill(trials, study, 1, start=5)
    db.execute("update insight set seconds = 1000")
    assert not await insights.work()
    db.execute("update insight set computed_at = computed_at - interval '9001 seconds'")
    assert await insights.work()
    assert (await best_of(app_client, study))[0]["seen"] == 6
    assert not await insights.work()


async def test_quiet_objectives_are_nobodys_work(app_client, make, trials, insights, db):
    study = await make(space=X)
    fill(trials, study, 5)
    assert not await insights.work()
    assert db.execute("select count(*) from insight").fetchone() == (0,)
    best, _ = await best_of(app_client, study)
    assert (best["by"], best["mean"], best["sd"], best["seen"]) == ("measured", None, None, None)


async def test_noise_is_for_a_single_objective(app_client):
    body = {"name": "two", "space": X, "objectives": [*NOISY, {"metric": "score"}]}
    answer = await app_client.post("/v1/studies", json=body)
    assert answer.status_code == 422
    assert "noisy" in answer.json()["detail"]


async def test_deleting_a_study_deletes_what_was_worked_out(
    app_client, make, trials, insights, pool, db: psycopg.Connection
):
    from service.studies.ending import settle

    study = await make(space=X, objectives=NOISY)
    fill(trials, study, 3)
    await insights.work()
    (study_id,) = db.execute("select study_id from insight").fetchone() or (0,)
    await app_client.delete(f"/v1/studies/{study['id']}")
    await settle(pool, study_id)
    assert db.execute("select count(*) from insight").fetchone() == (0,)
