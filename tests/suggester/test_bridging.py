"""What an ask gets that finds nothing while a model is fitted."""

import asyncio

import pytest

from search.searchers.sobol import Sobol
from service.suggester import serve as serving
from service.suggester.compute import Computing, Lanes
from service.suggester.models import QUICK
from service.suggester.plan import Plan
from service.suggester.serve import Serving, Waiting
from tests.leases.world import World
from tests.suggester.making import make, spec
from tests.suggester.searchers import Slow


async def test_nobody_waits_long_for_a_fit_and_other_studies_do_not_wait_at_all(
    world: World, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "PATIENCE_AT_FIRST", 0.1)
    monkeypatch.setattr(serving, "LOOK_SECONDS", 0.05)
    # Two processes for models, both busy for long.
    busy, waiting, quick = await world.study(), await world.study(), await world.study()
    await lanes.quick.warm_up(QUICK)
    fits = [
        asyncio.create_task(make(world, lanes, study, Slow(seconds=60), model=True, seconds=60))
        for study in (busy, waiting)
    ]
    asks = [asyncio.create_task(world.ask(waiting, wait=20)) for _ in range(5)]
    runs = await asyncio.wait_for(asyncio.gather(*asks), 15)
    origins = await world.rows("select origin from trial where study_id = %s", waiting.id)
    assert len({run.number for run in runs if run}) == 5
    assert all("had waited" in origin["because"] for (origin,) in origins)
    assert await asyncio.wait_for(make(world, lanes, quick, Sobol()), 10)
    assert await world.ask(quick) is not None
    for task in fits:
        task.cancel()
    await asyncio.gather(*fits, return_exceptions=True)
    # What was left behind is free for others at once.
    free = "select count(*) from batch where state = 'running' and expires_at <= clock_timestamp()"
    assert await world.one(free) == 2


def waiting(**changes: object) -> Waiting:
    values: dict[str, object] = {
        "demands": 4, "waited": 0.3, "left": None, "finished": 60, "trial_seconds": 2.0,
        "bridged": 0,
    }  # fmt: skip
    return Waiting(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "seconds", "count"),
    [
        ({}, 0.1, 2),  # a twentieth of a trial, and two of fifty
        ({"bridged": 1}, 0.1, 1),
        ({"bridged": 2}, 5.0, 0),  # often enough: now they wait for the fit
        ({"bridged": 2, "waited": 6.0}, 5.0, 4),
        ({"finished": 30}, 0.1, 1),
        ({"finished": 24}, 5.0, 0),
        ({"finished": 1}, 0.5, 0),
        ({"finished": 1, "waited": 0.6}, 0.5, 4),
        ({"trial_seconds": None}, 5.0, 0),
        ({"trial_seconds": 0.01}, 0.02, 2),
        ({"trial_seconds": 3600.0}, 5.0, 2),
        ({"left": 1}, 0.1, 1),
        ({"left": 0}, 0.1, 0),
        ({"left": -1}, 0.1, 0),
    ],
)
def test_a_few_are_bridged_soon_and_the_others_only_when_a_fit_takes_long(
    changes: dict[str, object], seconds: float, count: int
) -> None:
    assert waiting(**changes).patience == pytest.approx(seconds)
    assert waiting(**changes).count == count


async def test_an_ask_that_comes_during_a_fit_is_bridged_at_once(
    world: World, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looking by itself it would come too late.
    monkeypatch.setattr(serving, "PATIENCE_AT_FIRST", 0.0)
    monkeypatch.setattr(serving, "LOOK_SECONDS", 60.0)
    study = await world.study()
    await lanes.quick.warm_up(QUICK)
    serves = Serving(world.pool, Computing(world.pool, lanes, fit_seconds=60), batch_seconds=30)
    plan = Plan(count=1, refresh=False, soon_taken=0)
    fit = asyncio.create_task(serves.serve(study.id, spec(Slow(seconds=60)), plan, model=True))
    serves.wake(study.id)  # nobody listens yet: not an error
    async with asyncio.timeout(30):
        while not await world.one("select count(*) from batch where state = 'running'"):
            await asyncio.sleep(0.01)
        ask = asyncio.create_task(world.ask(study, wait=20))
        while not await world.one("select count(*) from demand"):
            await asyncio.sleep(0.01)
        while not ask.done():  # the suggester hears of each demand once, when it listens
            serves.wake(study.id)
            await asyncio.sleep(0.05)
    run = await ask
    assert run is not None
    origin = await world.one("select origin from trial")
    assert "had waited" in origin["because"]
    assert origin["waited"] >= 0
    fit.cancel()
    await asyncio.gather(fit, return_exceptions=True)
