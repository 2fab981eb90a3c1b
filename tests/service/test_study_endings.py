"""How a study pauses, stops and completes, and how its trials follow."""

import asyncio
from typing import Any

import psycopg
import pytest
from httpx import AsyncClient

from service.studies.completion import complete_if_done
from service.studies.sweeper import sweep


async def act(client: AsyncClient, verb: str, body: Any = None) -> tuple[int, str]:
    answer = await client.post(f"/v1/studies/digits:{verb}", json=body or {})
    found = answer.json()
    return answer.status_code, found.get("state") or found["code"]


async def test_pause_and_resume_may_be_repeated(app_client: AsyncClient, make: Any) -> None:
    await make()
    for _ in range(2):
        assert await act(app_client, "pause") == (200, "paused")
    for _ in range(2):
        assert await act(app_client, "resume") == (200, "active")
    for _ in range(2):
        assert await act(app_client, "stop", {"reason": "enough"}) == (200, "stopped")
    assert await act(app_client, "pause") == (409, "wrong_state")
    assert await act(app_client, "resume") == (409, "wrong_state")


async def test_bodies_of_verbs_may_be_left_out(app_client: AsyncClient, make: Any) -> None:
    await make()
    for verb in ("pause", "resume", "stop"):
        answer = await app_client.post(f"/v1/studies/digits:{verb}")
        assert answer.status_code == 200, answer.text


async def test_stopping_cancels_what_waits_and_asks_what_runs(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make()
    for _ in range(150):  # more than one batch of them
        trials.add(study, state="queued")
    running = trials.add(study, state="running")
    assert await act(app_client, "stop", {"reason": "enough"}) == (200, "stopped")
    shown = (await app_client.get("/v1/studies/digits")).json()
    assert (shown["trials"]["cancelled"], shown["trials"]["running"]) == (150, 1)
    assert shown["state_reason"] == "enough"
    assert db.execute("select request, request_reason from lease").fetchall() == [
        ("stop", "the study is stopped")
    ]
    assert db.execute("select finished, running, next_number from study_counter").fetchone() == (
        150,
        1,
        151,
    )
    kinds = (await app_client.get(f"/v1/trials/{running}/events")).json()["items"]
    assert [event["kind"] for event in kinds] == ["trial_stop_requested"]


async def test_pausing_now_asks_for_leases_back(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make()
    trials.add(study, state="running")
    trials.add(study, state="queued")
    assert await act(app_client, "pause") == (200, "paused")
    assert db.execute("select request from lease").fetchone() == (None,)
    assert await act(app_client, "pause", {"now": True}) == (200, "paused")
    assert db.execute("select request from lease").fetchone() == ("release",)
    assert (await app_client.get("/v1/studies/digits")).json()["trials"]["queued"] == 1


async def test_a_sweep_goes_on_where_a_killed_process_left(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make()
    # As after a kill between committing the state and seeing to the trials, and a lease that
    # was being taken meanwhile.
    db.execute(
        "update study set state = 'stopped', settled = false, finished_at = clock_timestamp()"
    )
    trials.add(study, state="queued")
    trials.add(study, state="running")
    await sweep(app_client.app.state.resources.hot)
    assert db.execute("select state from trial order by number").fetchall() == [
        ("cancelled",),
        ("running",),
    ]
    assert db.execute("select request from lease").fetchone() == ("stop",)
    assert db.execute("select settled from study").fetchone() == (False,)
    with db.transaction():
        db.execute("delete from lease")
        db.execute(
            "update trial set state = 'stopped', finished_at = now() where state = 'running'"
        )
        db.execute("update study_counter set running = 0, finished = finished + 1")
    await sweep(app_client.app.state.resources.hot)
    assert db.execute("select settled from study").fetchone() == (True,)


async def test_two_replicas_sweep_at_once(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make()
    for _ in range(250):
        trials.add(study, state="queued")
    db.execute(
        "update study set state = 'stopped', settled = false, finished_at = clock_timestamp()"
    )
    hot = app_client.app.state.resources.hot
    await asyncio.gather(*(sweep(hot) for _ in range(3)))
    await sweep(hot)
    assert db.execute("select count(*) from event where kind = 'trial_cancelled'").fetchone() == (
        250,
    )
    assert db.execute("select finished from study_counter").fetchone() == (250,)


async def done(client: AsyncClient, db: psycopg.Connection) -> bool:
    study_id = db.execute("select id from study").fetchone()[0]
    hot = client.app.state.resources.hot
    async with hot.connection() as connection, connection.transaction():
        return await complete_if_done(connection, study_id)


async def test_a_study_completes_when_its_trials_have_ended(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make(budget={"trials": 2})
    trials.add(study, loss=1.0)
    assert not await done(app_client, db)
    trials.add(study, state="running")
    assert not await done(app_client, db)
    with db.transaction():
        db.execute("update trial set state = 'failed', finished_at = now() where state = 'running'")
        db.execute("update study_counter set running = 0, finished = finished + 1")
    assert await done(app_client, db)
    assert not await done(app_client, db)
    shown = (await app_client.get("/v1/studies/digits")).json()
    assert (shown["state"], shown["state_reason"]) == ("completed", "trials")
    assert shown["finished_at"] is not None


async def test_imported_trials_use_up_no_budget(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make(budget={"trials": 1})
    trials.add(study, loss=1.0)
    db.execute("update study_counter set imported = 1")
    assert not await done(app_client, db)
    trials.add(study, loss=1.0)
    assert await done(app_client, db)


@pytest.mark.parametrize(
    ("goal", "loss", "reached"),
    [
        ("minimize", 0.1, True),
        ("minimize", 0.11, False),
        ("maximize", 0.1, True),
        ("maximize", 0.09, False),
    ],
)
async def test_a_target_that_is_reached_or_passed_completes(
    app_client: AsyncClient,
    make: Any,
    trials: Any,
    db: psycopg.Connection,
    goal: str,
    loss: float,
    reached: bool,
) -> None:
    study = await make(
        objectives=[{"metric": "loss", "goal": goal}], budget={"target": 0.1, "trials": 100}
    )
    trials.add(study, loss=loss)
    trials.add(study, state="running")
    trials.add(study, state="queued")
    assert await done(app_client, db) == reached
    await sweep(app_client.app.state.resources.hot)
    states = db.execute("select state from trial order by number").fetchall()
    assert states[2] == ("cancelled" if reached else "queued",)
    assert db.execute("select request from lease").fetchone() == ("stop" if reached else None,)


@pytest.mark.parametrize(
    ("told", "reached"),
    [
        ({"latency": 10.0, "quality": 0.5}, True),
        ({"latency": 10.1, "quality": 0.5}, False),
        ({"latency": 10.0, "quality": 0.4}, False),
        ({"latency": "NaN", "quality": 0.5}, False),
        ({"latency": 10.0, "quality": "NaN"}, False),  # Postgres holds NaN to be the greatest
        ({"latency": "-Infinity", "quality": "Infinity"}, True),
        ({"latency": 10.0}, False),
    ],
)
async def test_a_target_counts_only_where_constraints_hold(
    app_client: AsyncClient,
    make: Any,
    trials: Any,
    db: psycopg.Connection,
    told: dict[str, Any],
    reached: bool,
) -> None:
    constraints = [{"metric": "latency", "at_most": 10}, {"metric": "quality", "at_least": 0.5}]
    study = await make(constraints=constraints, budget={"target": 0.5}, searcher={"kind": "sobol"})
    trials.add(study, loss=0.1, values={"loss": 0.1, **told})
    assert await done(app_client, db) == reached
    best = (await app_client.get("/v1/studies/digits/best")).json()["trial"]
    assert (best is not None) == reached


async def test_hours_are_over(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make(budget={"hours": 1})
    trials.add(study, state="running")
    hot = app_client.app.state.resources.hot
    db.execute("update study set started_at = now() - interval '59 minutes'")
    await sweep(hot)
    assert db.execute("select state from study").fetchone() == ("active",)
    db.execute("update study set started_at = now() - interval '61 minutes'")
    await sweep(hot)
    assert db.execute("select state, state_reason from study").fetchone() == ("completed", "hours")
    assert db.execute("select request from lease").fetchone() == ("stop",)


async def test_an_exhausted_space_completes_with_its_last_trial(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make()
    trials.add(study, loss=1.0)
    assert not await done(app_client, db)
    db.execute(
        "insert into batch (study_id, number, state, lease_id, expires_at, count, exhausted,"
        " finished_at) select id, 0, 'done', gen_random_uuid(), now(), 1, 'every point was tried',"
        " now() from study"
    )
    db.execute(
        "insert into suggestion (study_id, batch, position, config, config_hash, origin, seen)"
        " select id, 0, 0, '{}', '\\x00', '{}', 0 from study"
    )
    assert not await done(app_client, db)  # one suggestion is still to be run
    db.execute("delete from suggestion")
    assert await done(app_client, db)


async def test_a_raised_budget_and_resume_go_on(
    app_client: AsyncClient, make: Any, trials: Any, db: psycopg.Connection
) -> None:
    study = await make(budget={"trials": 1})
    trials.add(study, loss=1.0)
    assert await done(app_client, db)
    assert await act(app_client, "resume") == (409, "wrong_state")
    assert await act(app_client, "stop") == (409, "wrong_state")
    revision = (await app_client.get("/v1/studies/digits")).headers["ETag"]
    await app_client.patch(
        "/v1/studies/digits", json={"budget": {"trials": 2}}, headers={"If-Match": revision}
    )
    assert await act(app_client, "resume") == (200, "active")


async def test_a_budget_lowered_below_what_was_done_completes(
    app_client: AsyncClient, make: Any, trials: Any
) -> None:
    study = await make(budget={"trials": 9})
    trials.add(study, loss=1.0)
    answer = await app_client.patch(
        "/v1/studies/digits", json={"budget": {"trials": 1}}, headers={"If-Match": '"1"'}
    )
    assert answer.json()["state"] == "completed"
