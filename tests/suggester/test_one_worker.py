"""Whether a study has one worker, read from its latest trials."""

from service.leases.known import KnownStudy
from service.suggester.survey import Standing, survey
from tests.leases.world import World

RAN = """
update trial set started_at = now() + make_interval(secs => %s * number),
       finished_at = now() + make_interval(secs => %s * number + 1)
"""
IMPORTED = """
update trial set started_at = null, finished_at = now() + interval '1 hour' where number = 0
"""


async def surveyed(world: World) -> Standing:
    async with world.pool.connection() as connection:
        (found,) = await survey(connection)
    return found


async def finished(world: World, every: float) -> KnownStudy:
    """A study with three trials of a second each, one begun so many seconds after another."""
    study = await world.study()
    for _ in range(3):
        run = await world.begin(study)
        await run.tell(loss=1.0)
    await world.rows(RAN, every, every)
    return study


async def test_trials_one_after_another_are_those_of_one_worker(world: World) -> None:
    study = await finished(world, every=1.1)
    found = await surveyed(world)
    assert found.alone
    assert found.together is not None
    assert abs(found.together - 3 / 3.2) < 1e-6
    await world.begin(study)
    assert (await surveyed(world)).alone
    await world.begin(study)
    assert not (await surveyed(world)).alone


async def test_trials_that_overlap_are_those_of_several(world: World) -> None:
    await finished(world, every=0.5)
    found = await surveyed(world)
    assert found.together == 1.5
    assert not found.alone


async def test_imported_trials_say_nothing_of_the_workers(world: World) -> None:
    await finished(world, every=0.5)
    await world.rows(IMPORTED)
    found = await surveyed(world)
    assert found.together is not None
    assert abs(found.together - 2 / 1.5) < 1e-6


async def test_before_a_trial_has_ended_nobody_knows(world: World) -> None:
    await world.begin(await world.study())
    found = await surveyed(world)
    assert (found.together, found.alone) == (None, False)
