"""ask: who gets which trial, and who gets none."""

import asyncio
import uuid

import pytest

from service.errors import LeaseInUse, LeaseLost, StudyEnded, StudyPaused
from service.schemas.trials import Failed
from service.trials.enqueue import enqueue
from tests.leases.world import World


async def test_a_suggestion_becomes_a_trial_when_it_is_asked_for(world: World) -> None:
    study = await world.study()
    (config,) = await world.suggest(study, 1)
    run = await world.ask(study)
    assert run is not None
    assert (run.number, run.attempt, run.taken.claimed.config) == (0, 1, config)
    assert await world.rows("select 1 from suggestion") == []
    assert await world.count(study) == {
        "next_number": 1, "running": 1, "finished": 0, "failed": 0, "imported": 0,
    }  # fmt: skip
    assert await world.one("select started_at is not null from study where id = %s", study.id)


async def test_the_same_lease_id_gets_the_same_trial_however_often_it_asks(world: World) -> None:
    study = await world.study()
    await world.suggest(study, 20)
    lease = uuid.uuid4()
    runs = await asyncio.gather(*(world.ask(study, lease=lease) for _ in range(10)))
    assert len({run.trial.id for run in runs if run}) == 1
    assert (await world.count(study))["next_number"] == 1
    assert await world.one("select count(*) from lease") == 1
    later = await world.ask(study, lease=lease)
    assert later is not None
    assert later.trial.id == runs[0].trial.id


async def test_two_claims_of_one_queued_trial(world: World) -> None:
    study = await world.study()
    for place in range(50):
        async with world.pool.connection() as connection, connection.transaction():
            await enqueue(connection, study.id, [{"x": place / 50}], False, {"by": "user"})
        barrier = asyncio.Barrier(2)

        async def ask(barrier: asyncio.Barrier = barrier) -> object:
            await barrier.wait()
            return await world.ask(study)

        found = await asyncio.gather(ask(), ask())
        assert sum(run is not None for run in found) == 1
    assert await world.count(study) == {
        "next_number": 50, "running": 50, "finished": 0, "failed": 0, "imported": 0,
    }  # fmt: skip


async def test_many_asks_at_once_get_distinct_trials_without_gaps(world: World) -> None:
    study = await world.study()
    await world.suggest(study, 64)
    runs = await asyncio.gather(*(world.ask(study, worker=f"w{n}") for n in range(64)))
    assert sorted(run.number for run in runs if run) == list(range(64))
    assert len({run.taken.claimed.config["x"] for run in runs if run}) == 64


async def test_max_running_holds_against_many_asks(world: World) -> None:
    study = await world.study(max_running=8)
    await world.suggest(study, 64)
    runs = [run for run in await asyncio.gather(*(world.ask(study) for _ in range(64))) if run]
    assert len(runs) == 8
    await runs[0].tell(loss=1.0)
    again = await asyncio.gather(*(world.ask(study) for _ in range(8)))
    assert sum(run is not None for run in again) == 1
    assert (await world.count(study))["running"] == 8


async def test_the_budget_is_never_exceeded(world: World) -> None:
    study = await world.study(budget={"trials": 10})
    await world.suggest(study, 64)
    runs = [run for run in await asyncio.gather(*(world.ask(study) for _ in range(64))) if run]
    assert sorted(run.number for run in runs) == list(range(10))


async def test_a_spent_budget_is_no_end_while_a_trial_may_come_back(world: World) -> None:
    study = await world.study(budget={"trials": 1})
    run = await world.begin(study)
    assert await world.ask(study) is None  # 202: the trial that runs may be lost
    assert await world.expire(run) == "queued"
    await world.now(run)
    again = await world.ask(study)
    assert again is not None
    assert (again.number, again.attempt) == (0, 2)
    await again.tell(loss=0.5)
    with pytest.raises(StudyEnded) as ended:
        await world.ask(study)
    assert ended.value.reason == "trials"
    assert await world.one("select state from study where id = %s", study.id) == "completed"


async def test_a_waiting_worker_hears_of_the_end(world: World) -> None:
    study = await world.study(budget={"trials": 1})
    run = await world.begin(study)
    waiting = asyncio.create_task(world.ask(study, wait=20))
    await asyncio.sleep(0)
    await run.tell(loss=0.5)
    with pytest.raises(StudyEnded):
        await asyncio.wait_for(waiting, 5)


async def test_an_end_that_nobody_noticed_is_found_by_the_next_ask(world: World) -> None:
    study = await world.study(budget={"trials": 1})
    run = await world.begin(study)
    await run.tell(loss=0.5)
    # As if the process had died between the tell and its consequences.
    await world.rows(
        "update study set state = 'active', state_reason = null, finished_at = null where id = %s",
        study.id,
    )
    with pytest.raises(StudyEnded):
        await world.ask(study)


async def test_a_paused_study_gives_no_lease_but_repeats_one(world: World) -> None:
    study = await world.study()
    run = await world.begin(study)
    await world.suggest(study, 1)
    await world.rows("update study set state = 'paused' where id = %s", study.id)
    with pytest.raises(StudyPaused):
        await world.ask(study)
    again = await world.ask(study, lease=run.lease)
    assert again is not None
    assert again.trial.id == run.trial.id


async def test_a_lease_id_is_used_once(world: World) -> None:
    study, other = await world.study(), await world.study()
    run = await world.begin(study)
    await world.suggest(other, 1)
    with pytest.raises(LeaseInUse):
        await world.ask(other, lease=run.lease)
    await run.tell(loss=1.0)
    await world.suggest(study, 1)
    with pytest.raises(LeaseLost):
        await world.ask(study, lease=run.lease)
    assert await world.one("select count(*) from trial") == 1


async def test_a_lost_lease_id_is_refused_after_its_trial_moved_on(world: World) -> None:
    study = await world.study()
    run = await world.begin(study)
    await world.expire(run)
    with pytest.raises(LeaseLost):
        await world.ask(study, lease=run.lease)
    await world.now(run)
    assert await world.ask(study, worker="other") is not None
    with pytest.raises(LeaseLost):
        await world.ask(study, lease=run.lease)


async def test_queued_trials_come_first_in_order_and_back_off_is_kept(world: World) -> None:
    study = await world.study()
    await world.suggest(study, 1)
    async with world.pool.connection() as connection, connection.transaction():
        await enqueue(connection, study.id, [{"x": 0.1}, {"x": 0.2}], False, {"by": "user"})
    first = await world.ask(study)
    assert first is not None
    assert first.taken.claimed.config == {"x": 0.1}
    assert await world.expire(first) == "queued"  # at a higher priority, but later
    second = await world.ask(study)
    assert second is not None
    assert second.taken.claimed.config == {"x": 0.2}
    third = await world.ask(study)
    assert third is not None
    assert third.number == 2
    assert await world.ask(study) is None
    await world.now(first)
    again = await world.ask(study)
    assert again is not None
    assert (again.number, again.attempt) == (0, 2)


async def test_a_suggestion_whose_config_is_a_trial_already_is_passed_over(world: World) -> None:
    study = await world.study()
    await world.suggest(study, 1)
    await world.suggest(study, 1, x=0.75)
    # An import beside our back: the suggestion stays, its config is taken.
    async with world.pool.connection() as connection, connection.transaction():
        await enqueue(connection, study.id, [{"x": 0.3}], False, {"by": "user"})
    await world.rows("update trial set config_hash = (select config_hash from suggestion"
                     " where config->>'x' = '0.75')")  # fmt: skip
    assert (await world.ask(study)).number == 0  # type: ignore[union-attr]
    run = await world.ask(study)
    assert run is not None
    assert run.number == 1
    assert run.taken.claimed.config != {"x": 0.75}


async def test_an_ask_that_waits_is_a_demand_and_wakes_with_the_batch(world: World) -> None:
    study = await world.study()
    waiting = asyncio.create_task(world.ask(study, wait=15))
    while not await world.rows("select 1 from demand where study_id = %s", study.id):
        await asyncio.sleep(0.01)
    assert not waiting.done()
    await world.suggest(study, 1)
    world.ready.wake(study.id)
    run = await asyncio.wait_for(waiting, 0.8)  # sooner than it polls
    assert run is not None
    assert await world.rows("select 1 from demand") == []


async def test_every_claim_is_an_attempt_and_an_event(world: World) -> None:
    study = await world.study()
    run = await world.begin(study, worker="gpu-1")
    await run.tell(Failed(reason="oom", message="too big", log_tail="...", exit="exit code 1"))
    attempts = await world.rows(
        "select number, worker, end_reason, exit, log_tail from attempt where trial_id = %s",
        run.trial.id,
    )
    assert attempts == [(1, "gpu-1", "told", "exit code 1", "...")]
    events = await world.rows(
        "select kind, detail from event where trial_id = %s order by id", run.trial.id
    )
    assert events == [
        ("trial_started", {"attempt": 1, "worker": "gpu-1"}),
        ("trial_failed", {"attempt": 1, "reason": "oom"}),
    ]
