"""Batches: one at a time, and nothing from a suggester whose lease has gone."""

import asyncio

from search.searcher import Memo
from service.leases.known import KnownStudy
from service.suggester.batches import (
    BatchLease,
    Made,
    Proposal,
    begin,
    finish,
    give_up,
    put,
    read_before,
    renew,
)
from service.suggester.history import Trials, read_changed
from service.trials.enqueue import enqueue
from tests.leases.world import World


def made(*values: float, **changes: object) -> Made:
    fields: dict[str, object] = {
        "proposals": [Proposal(config={"x": x}, origin={"by": "test"}) for x in values],
        "superseded": [], "seen": 0, "watermark": 0, "pending": [], "memo": None,
        "exhausted": None, "error": None, "seconds": 0.5,
    }  # fmt: skip
    return Made(**{**fields, **changes})  # type: ignore[arg-type]


async def claim(world: World, study: KnownStudy, seconds: float = 60) -> BatchLease | None:
    async with world.pool.connection() as connection:
        return await begin(connection, study.id, count=1, seconds=seconds)


async def commit(world: World, lease: BatchLease, batch: Made) -> bool:
    async with world.pool.connection() as connection, connection.transaction():
        return await finish(connection, lease, batch)


async def buffer(world: World) -> list[float]:
    rows = await world.rows("select config->>'x' from suggestion order by batch desc, position")
    return [float(x) for (x,) in rows]


async def test_of_many_suggesters_one_gets_the_batch(world: World) -> None:
    study = await world.study()
    for number in range(10):
        leases = await asyncio.gather(*(claim(world, study) for _ in range(8)))
        won = [lease for lease in leases if lease]
        assert [lease.number for lease in won] == [number]
        assert await commit(world, won[0], made(number / 10))


async def test_a_batch_left_behind_is_taken_over_under_its_number(world: World) -> None:
    study = await world.study()
    stale = await claim(world, study, seconds=0)
    assert stale is not None
    fresh = await claim(world, study)
    assert fresh is not None
    assert (fresh.number, stale.number) == (0, 0)
    assert await world.one("select attempt from batch") == 2
    async with world.pool.connection() as connection:
        assert not await renew(connection, stale, seconds=60)
        assert not await put(connection, stale, made(0.9).proposals, 0)
        await give_up(connection, stale)  # of no effect
    assert not await commit(world, stale, made(0.9))
    assert await claim(world, study) is None
    assert await commit(world, fresh, made(0.1))
    assert not await commit(world, fresh, made(0.2))
    assert await buffer(world) == [0.1]


async def test_a_batch_that_was_given_up_is_free_at_once(world: World) -> None:
    study = await world.study()
    lease = await claim(world, study)
    assert lease is not None
    async with world.pool.connection() as connection:
        await give_up(connection, lease)
    assert await claim(world, study) is not None


async def test_suggestions_that_came_early_stay_when_the_batch_is_committed(world: World) -> None:
    study = await world.study()
    lease = await claim(world, study)
    assert lease is not None
    async with world.pool.connection() as connection:
        assert await put(connection, lease, made(0.1, 0.2).proposals, 0)
        assert await put(connection, lease, made(0.3).proposals, 0)
    assert await commit(world, lease, made(0.4, 0.2, 0.5))
    assert await buffer(world) == [0.1, 0.2, 0.3, 0.4, 0.5]


async def test_what_is_a_trial_already_is_not_suggested(world: World) -> None:
    study = await world.study()
    async with world.pool.connection() as connection, connection.transaction():
        await enqueue(connection, study.id, [{"x": 0.5}], False, {"by": "user"})
    lease = await claim(world, study)
    assert lease is not None
    assert await commit(world, lease, made(0.5, 0.25, 0.25))
    assert await buffer(world) == [0.25]


async def test_a_refresh_takes_the_place_of_what_it_supersedes(world: World) -> None:
    study = await world.study()
    first = await claim(world, study)
    assert first is not None
    await commit(world, first, made(0.1, 0.2, 0.3, memo=Memo(version=1, data={"k": [1]})))
    async with world.pool.connection() as connection:
        before = await read_before(connection, study.id)
    assert before.memo == Memo(version=1, data={"k": [1]})
    assert list(before.buffer) == [{"x": 0.1}, {"x": 0.2}, {"x": 0.3}]
    second = await claim(world, study)
    assert second is not None
    await commit(world, second, made(0.2, 0.9, superseded=before.buffer[1:], seen=7))
    assert await buffer(world) == [0.2, 0.9, 0.1]  # 0.2 was proposed anew
    assert await world.rows(
        "select seen, (origin->>'seen')::int from suggestion where batch = 1"
    ) == [
        (7, 7),
        (7, 7),
    ]


async def test_a_suggestion_that_is_being_taken_does_not_hold_up_a_refresh(world: World) -> None:
    study = await world.study()
    lease = await claim(world, study)
    assert lease is not None
    await commit(world, lease, made(0.1, 0.2))
    second = await claim(world, study)
    assert second is not None
    async with world.pool.connection() as asking, asking.transaction():
        await asking.execute("select 1 from suggestion where position = 0 for update")
        superseded = [{"x": 0.1}, {"x": 0.2}]
        assert await commit(world, second, made(0.9, superseded=superseded))
    assert await buffer(world) == [0.9, 0.1]


async def test_reading_what_changed_adds_up_to_everything(world: World) -> None:
    study = await world.study()
    kept = Trials()

    async def catch_up() -> None:
        async with world.pool.connection() as connection:
            version, changed = await read_changed(connection, study.id, kept.version)
        kept.update(version, changed)

    await catch_up()
    assert kept.in_order() == []
    runs = [await world.begin(study) for _ in range(4)]
    await catch_up()
    assert [trial.state for trial in kept.in_order()] == ["running"] * 4
    await runs[1].tell(loss=1.5)
    await runs[2].release()
    await catch_up()
    async with world.pool.connection() as connection:
        version, everything = await read_changed(connection, study.id, -1)
        _, nothing = await read_changed(connection, study.id, version)
    assert nothing == {}
    assert (kept.version, kept.by_number) == (version, everything)
    assert kept.by_number[1].values == {"loss": 1.5}
    assert kept.finished() == 1


async def test_a_model_gets_the_curves_of_what_it_predicts(world: World) -> None:
    study = await world.study()
    run = await world.begin(study)
    for step, loss in ((1, 3.0), (4, 1.5), (2, 2.0)):
        await run.report(step, 0.5 * step if step != 2 else None, loss=loss, other=0.0)
    await run.tell(loss=1.5)
    await world.begin(study)
    async with world.pool.connection() as connection:
        _, with_curves = await read_changed(connection, study.id, -1, curves="loss")
        _, without = await read_changed(connection, study.id, -1)
    seen = [(m.step, dict(m.values)) for m in with_curves[0].measurements]
    assert seen == [(1, {"loss": 3.0}), (2, {"loss": 2.0}), (4, {"loss": 1.5})]
    assert [m.elapsed_seconds for m in with_curves[0].measurements] == [0.5, None, 2.0]
    assert with_curves[1].measurements == ()
    assert without[0].measurements == ()
