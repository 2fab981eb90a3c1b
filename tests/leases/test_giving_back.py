"""release, expiry and the reaper: how trials come back from workers that left."""

import asyncio

import pytest

from service.errors import LeaseLost
from service.leases.reaper import AT_ONCE, beat, reap, tidy
from service.schemas.trials import Stopped
from tests.leases.world import Run, World


async def lose(world: World, run: Run) -> Run | str:
    """The worker dies; the next run, or what became of the trial."""
    state = await world.expire(run)
    if state != "queued":
        return str(state)
    await world.now(run)
    again = await world.ask(run.study, worker=f"w{run.attempt + 1}")
    assert again is not None
    assert (again.number, again.attempt) == (run.number, run.attempt + 1)
    return again


async def reason(world: World, run: Run) -> tuple[str, str | None]:
    return await world.one("select state, reason from trial where id = %s", run.trial.id)


async def test_a_trial_whose_worker_is_lost_too_often_fails(world: World) -> None:
    run: Run | str = await world.begin(await world.study(max_attempts=3))
    first = run
    for step in range(3):
        assert isinstance(run, Run)
        await run.report(step, loss=1.0)
        run = await lose(world, run)
    assert run == "failed"
    assert isinstance(first, Run)
    assert await reason(world, first) == ("failed", "lost")
    assert (await world.count(first.study))["failed"] == 1
    await world.check()


async def test_a_trial_that_kills_two_workers_at_once_is_poison(world: World) -> None:
    study = await world.study()
    poison = await world.begin(study, worker="w1")
    good = await world.begin(study, worker="w1")
    again = await lose(world, poison)
    assert isinstance(again, Run)
    assert await lose(world, again) == "failed"
    assert await reason(world, poison) == ("failed", "poison")
    detail = await world.one("select detail from event where kind = 'trial_failed'")
    assert {detail["worker"], detail["other_worker"]} == {"w1", "w2"}
    assert (await good.tell(loss=1.0)).state == "completed"


async def test_the_same_worker_lost_twice_is_no_poison_nor_is_progress(world: World) -> None:
    study = await world.study()
    run = await world.begin(study, worker="w2")  # the next one is named w2 too
    again = await lose(world, run)
    assert isinstance(again, Run)
    assert isinstance(await lose(world, again), Run)
    moving = await world.begin(study, worker="w1")
    again = await lose(world, moving)
    assert isinstance(again, Run)
    await again.report(0, loss=1.0)
    assert isinstance(await lose(world, again), Run)


async def test_a_trial_that_was_to_stop_is_never_run_again(world: World) -> None:
    run = await world.begin(await world.study())
    await run.report(2, loss=0.5)
    await world.rows("update lease set request = 'stop', request_reason = 'worse'")
    assert await world.expire(run) == "stopped"
    row = await world.one("select values, objective from trial where id = %s", run.trial.id)
    assert row == ({"loss": 0.5}, 0.5)
    assert await world.ask(run.study) is None
    await world.check()


async def test_a_trial_that_was_asked_back_runs_again_and_no_attempt_is_used_up(
    world: World,
) -> None:
    run = await world.begin(await world.study(max_attempts=1))
    await world.rows("update lease set request = 'release'")
    assert await world.expire(run) == "queued"
    assert await world.one("select lost from trial") == 0
    assert await world.ask(run.study) is not None


async def test_releasing_uses_up_no_attempt_but_twenty_are_enough(world: World) -> None:
    study = await world.study(max_attempts=1)
    run = await world.begin(study)
    for attempt in range(1, 20):
        assert run.attempt == attempt
        assert await run.release() == "queued"
        found = await world.ask(study)
        assert found is not None
        run = found
    assert await run.release() == "failed"
    with pytest.raises(LeaseLost):
        await run.release()
    await world.check()


async def test_a_release_is_kept_with_its_attempt(world: World) -> None:
    run = await world.begin(await world.study())
    await run.release("node is drained")
    assert await world.rows("select end_reason, ended_at is not null from attempt") == [
        ("released", True)
    ]
    detail = await world.one("select detail from event where kind = 'trial_requeued'")
    assert detail == {"attempt": 1, "because": "node is drained", "worker": "w"}


async def settle_pulse(world: World) -> None:
    """Let the service have been up for an hour."""
    await beat(world.pool, outage=2)
    await world.rows(
        "update liveness set last_ok = clock_timestamp(),"
        " up_since = clock_timestamp() - interval '1 hour'"
    )


async def test_the_reaper_takes_what_has_run_out_and_leaves_the_rest(world: World) -> None:
    study = await world.study()
    dead, alive = await world.begin(study), await world.begin(study)
    await settle_pulse(world)
    await world.lapse(dead)
    assert await reap(world.pool, world.known) == 1
    assert (await world.state(dead), await world.state(alive)) == ("queued", "running")
    assert await reap(world.pool, world.known) == 0


async def test_several_reapers_take_each_trial_once(world: World) -> None:
    study = await world.study()
    runs = [await world.begin(study) for _ in range(30)]
    await settle_pulse(world)
    for run in runs:
        await world.lapse(run)
    await asyncio.gather(*(reap(world.pool, world.known) for _ in range(4)))
    assert await world.one("select count(*) from event where kind = 'trial_requeued'") == 30
    await world.check()
    assert AT_ONCE > 30


async def test_a_renewal_beside_the_reaper_wins_or_loses_but_never_both(world: World) -> None:
    for _ in range(25):
        run = await world.begin(await world.study())
        await settle_pulse(world)
        await world.lapse(run)

        async def renew(run: Run = run) -> bool:
            try:
                await run.report(0, loss=1.0)
            except LeaseLost:
                return False
            return True

        kept, _ = await asyncio.gather(renew(), reap(world.pool, world.known))
        assert await world.state(run) == ("running" if kept else "queued")
    await world.check()


async def test_after_an_outage_every_lease_is_spared_for_its_own_length(world: World) -> None:
    short = await world.begin(await world.study(lease_seconds=5))
    long = await world.begin(await world.study(lease_seconds=600))
    await settle_pulse(world)
    # Nothing of ours was up for five minutes: neither could renew.
    await world.rows("update liveness set last_ok = last_ok - interval '5 minutes'")
    await world.lapse(short)
    await world.lapse(long)
    await beat(world.pool, outage=2)
    assert await reap(world.pool, world.known) == 0
    # Six seconds later one of them had its time, and did not come back.
    await world.rows("update liveness set up_since = up_since - interval '6 seconds'")
    await beat(world.pool, outage=2)
    assert await reap(world.pool, world.known) == 1
    assert (await world.state(short), await world.state(long)) == ("queued", "running")
    assert (await long.beat()).attempt == 1


async def test_a_jump_of_the_databases_clock_costs_nobody_a_lease(world: World) -> None:
    runs = [await world.begin(await world.study()) for _ in range(4)]
    await settle_pulse(world)
    # What the clock shows ten minutes from now, everything that was written before is old.
    await world.rows("update lease set expires_at = expires_at - interval '10 minutes'")
    await world.rows("update liveness set last_ok = last_ok - interval '10 minutes'")
    await beat(world.pool, outage=2)
    assert await reap(world.pool, world.known) == 0
    for run in runs:
        await run.beat()
    await world.rows("update liveness set up_since = up_since - interval '1 hour'")
    assert await reap(world.pool, world.known) == 0


async def test_a_steady_pulse_is_no_outage(world: World) -> None:
    await settle_pulse(world)
    for _ in range(3):
        await beat(world.pool, outage=2)
    assert await world.one("select up_since < clock_timestamp() - interval '59 min' from liveness")


async def test_the_reaper_completes_what_nobody_completed_and_forgets_old_demands(
    world: World,
) -> None:
    study = await world.study(budget={"trials": 1})
    await (await world.begin(study)).tell(loss=1.0)
    await world.rows("update study set state = 'active', finished_at = null")
    await world.rows(
        "insert into demand values (gen_random_uuid(), %s, now() - interval '1 s')", study.id
    )
    await tidy(world.pool)
    assert await world.one("select state from study") == "completed"
    assert await world.rows("select 1 from demand") == []


async def test_a_stopped_trial_beside_the_reaper_ends_once(world: World) -> None:
    for _ in range(15):
        run = await world.begin(await world.study())
        await run.report(0, loss=1.0)
        await world.rows("update lease set request = 'stop'")
        await settle_pulse(world)
        await world.lapse(run)
        await asyncio.gather(
            run.tell(Stopped()), reap(world.pool, world.known), return_exceptions=True
        )
        assert await world.state(run) == "stopped"
    await world.check()
