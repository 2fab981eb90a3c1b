"""Studies that end by themselves, with a real suggester and its processes."""

import random

import pytest

from service.errors import StudyEnded
from service.suggester.compute import Lanes
from tests.leases.world import World
from tests.suggester.test_process import suggesting


async def trials_until_the_end(
    world: World, lanes: Lanes, noise: float = 0.0, **budget: float
) -> int:
    """How many trials a study of (x - 0.3)^2 ran, one after the other."""
    study = await world.study(
        searcher={"kind": "auto", "initial": 5}, budget=budget, seed=11, max_running=1
    )
    drawn, count = random.Random(4), 0
    async with suggesting(world, lanes):
        try:
            while run := await world.ask(study, wait=20):
                x = run.taken.claimed.config["x"]
                await run.tell(loss=(x - 0.3) ** 2 + noise * drawn.gauss(0, 1))
                count += 1
        except StudyEnded:
            pass
    await world.check()
    return count


async def reason(world: World) -> str:
    return str(await world.one("select state_reason from study"))


async def test_a_study_ends_when_little_is_left_to_gain(world: World, lanes: Lanes) -> None:
    count = await trials_until_the_end(world, lanes, trials=100, min_expected_gain=1e-3, patience=3)
    assert 8 <= count <= 40
    assert "less than 0.001" in await reason(world)
    best = await world.one("select min(objective) from trial")
    assert best < 1e-3
    told = await world.rows("select detail from event where kind = 'study_completed'")
    assert [detail["reason"] for (detail,) in told] == ["gain"]
    assert told[0][0]["expected_gain"] < 1e-3


async def test_without_a_threshold_it_does_not(world: World, lanes: Lanes) -> None:
    assert await trials_until_the_end(world, lanes, trials=25, min_expected_gain=0) == 25
    assert await reason(world) == "trials"


@pytest.mark.parametrize(("threshold", "ends"), [(2.0, "gain"), (1e-3, "trials")])
async def test_noise_alone_ends_a_study_only_under_a_threshold_of_its_size(
    world: World, lanes: Lanes, threshold: float, ends: str
) -> None:
    # Room for batches that are bridged by Sobol points on a busy machine: those do not count.
    count = await trials_until_the_end(
        world, lanes, noise=1.0, trials=40, min_expected_gain=threshold
    )
    assert (await reason(world)).split(":")[0] == ends
    assert (count < 40) == (ends == "gain")
