"""Batches that learn from earlier studies, and batches that plan how far trials run."""

import uuid
from typing import Any

from service.leases.known import KnownStudy
from service.studies.spec import load_spec
from service.studies.transfer import with_earlier
from service.suggester.batches import BatchLease
from service.suggester.compute import Computing, Lanes, Order
from service.suggester.plan import Plan
from service.suggester.serve import Serving
from tests.leases.world import World

SETTINGS = {"kind": "botorch", "candidates": 100, "fit_evaluations": 40}
FIDELITY = {**SETTINGS, "fidelity": {"low": 1, "high": 27}}


async def ordered(world: World, study: KnownStudy, count: int) -> Order:
    """The first batch of the study, with its spec as a suggester loads it."""
    async with world.pool.connection() as connection:
        spec = await with_earlier(connection, study.id, await load_spec(connection, study.id, 1))
    plan = Plan(count=count, refresh=False, soon_taken=0)
    return Order(lease=BatchLease(study.id, 0, uuid.uuid4()), spec=spec, plan=plan, model=True)


async def finished(world: World, **options: Any) -> KnownStudy:
    """A study with four completed trials."""
    study = await world.study(**options)
    for k in range(4):
        await world.suggest(study, 1, x=0.2 + 0.1 * k)
        run = await world.ask(study)
        assert run is not None
        await run.tell(loss=abs(0.1 * k - 0.1))
    return study


async def test_a_batch_is_the_same_whether_or_not_the_earlier_study_is_there(
    world: World, lanes: Lanes
) -> None:
    earlier = await finished(world, name="before")
    study = await world.study(name="after", searcher=SETTINGS, transfer=["before"], seed=4)
    computing = Computing(world.pool, lanes, fit_seconds=60)
    made, _ = await computing.compute(await ordered(world, study, 3))
    assert made.error is None
    led = [proposal.origin.get("transfer") for proposal in made.proposals]
    assert sorted(map(str, led)) == ["None", "{'before': 1.0}", "{'before': 1.0}"]
    await world.rows("delete from study where id = %s", earlier.id)
    again, _ = await computing.compute(await ordered(world, study, 3))
    assert again.proposals == made.proposals


async def test_a_plan_goes_from_the_searcher_to_the_worker(world: World, lanes: Lanes) -> None:
    study = await world.study(searcher=FIDELITY)
    computing = Computing(world.pool, lanes, fit_seconds=60)
    order = await ordered(world, study, 3)
    serving = Serving(world.pool, computing, batch_seconds=30)
    assert await serving.serve(study.id, order.spec, order.plan, model=True)
    runs = [await world.ask(study) for _ in range(3)]
    assert [run.taken.until for run in runs if run] == [1, 1, 3]


async def test_a_point_that_bridges_a_wait_runs_no_further_than_need_be(
    world: World, lanes: Lanes
) -> None:
    study = await world.study(searcher=FIDELITY)
    computing = Computing(world.pool, lanes, fit_seconds=60)
    answer = await computing.fall_back(await ordered(world, study, 2), 2, "it took long")
    assert [until for _, _, until in answer.suggestions] == [1, 1]
    assert all(origin["steps"] == 1 for _, origin, _ in answer.suggestions)
