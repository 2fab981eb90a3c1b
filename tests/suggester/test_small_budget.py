"""The budget reaches the searcher, and is kept with what it made of it."""

import pytest

from service.suggester.compute import Lanes
from tests.leases.world import World
from tests.suggester.test_process import finish_some, suggesting


@pytest.mark.parametrize(
    ("budget", "by", "told"),
    [
        ({"trials": 12}, "gp", "gp: one objective, after 4 trials that cover the space"),
        ({"trials": 60}, "sobol", "sobol: the first 10 trials cover the space"),
        ({}, "sobol", "sobol: the first 10 trials cover the space"),
    ],
)
async def test_a_study_of_few_trials_has_its_model_sooner(
    world: World, lanes: Lanes, budget: dict[str, int], by: str, told: str
) -> None:
    study = await world.study(searcher={"kind": "auto"}, budget=budget, seed=11)
    await finish_some(world, study, 5)
    by_hand = await world.one("select max(number) from batch")
    async with suggesting(world, lanes):
        run = await world.ask(study, wait=20)
    assert run is not None
    found = await world.rows("select origin, batch from trial where number = %s", run.number)
    ((origin, batch),) = found
    assert (origin["by"], origin["auto"]) == (by, told)
    assert batch > by_hand
    stored = await world.one("select budget from batch where number = %s", batch)
    assert stored == budget.get("trials")
    await world.check()
