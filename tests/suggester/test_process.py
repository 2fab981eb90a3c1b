"""The suggester as a whole: asks are answered, whoever dies."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from search.searcher import Searcher
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from service.errors import StudyEnded
from service.leases.known import KnownStudy
from service.settings import Settings
from service.suggester.compute import Lanes
from service.suggester.listen import listen
from service.suggester.models import modules
from service.suggester.process import Suggester
from tests.leases.world import World


@asynccontextmanager
async def suggesting(world: World, lanes: Lanes) -> AsyncIterator[Suggester]:
    """A suggester in this process, and an API that hears it."""
    suggester = Suggester(world.pool, lanes, Settings(database_url=world.url))
    conninfo = str(world.pool.conninfo)
    tasks = [
        asyncio.create_task(suggester.run()),
        asyncio.create_task(listen(conninfo, "demand", suggester.wake)),
        asyncio.create_task(world.ready.listen(conninfo)),
    ]
    try:
        yield suggester
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def finish_some(world: World, study: KnownStudy, count: int) -> None:
    for _ in range(count):
        run = await world.begin(study)
        x = run.taken.claimed.config["x"]
        await run.tell(loss=(x - 0.3) ** 2)


async def test_asks_are_answered_and_the_buffer_is_kept_full(world: World, lanes: Lanes) -> None:
    study = await world.study(searcher={"kind": "sobol"}, budget={"trials": 12})
    async with suggesting(world, lanes):
        runs = [await world.ask(study, wait=20) for _ in range(3)]
        assert [run.number for run in runs if run] == [0, 1, 2]
        async with asyncio.timeout(10):
            while await world.one("select count(*) from suggestion") < 2:
                await asyncio.sleep(0.02)
        rest = await asyncio.gather(*(world.ask(study, wait=20) for _ in range(9)))
        assert sorted(run.number for run in rest if run) == list(range(3, 12))
        assert await world.one("select count(*) from suggestion") == 0  # the budget is used up
    await world.check()


@pytest.mark.parametrize("searcher", [BoTorch(), GP()], ids=lambda searcher: searcher.kind)
async def test_many_asks_at_once_are_one_batch_or_two(
    world: World, lanes: Lanes, searcher: Searcher
) -> None:
    study = await world.study(searcher={"kind": searcher.kind_of()}, max_running=None)
    await finish_some(world, study, 30)
    before = await world.one("select coalesce(max(number), -1) from batch")
    async with suggesting(world, lanes):
        await lanes.models.warm_up(modules(searcher))
        runs = await asyncio.gather(*(_ask_until_answered(world, study) for _ in range(64)))
        answered = await world.one(
            "select count(distinct batch) from trial where number >= 30 and batch > %s", before
        )
    assert sorted(runs) == list(range(30, 94))
    assert answered <= 2
    configs = await world.one("select count(distinct config) from trial where number >= 30")
    assert configs == 64
    await world.check()


async def test_two_objectives_under_a_constraint_are_modelled(world: World, lanes: Lanes) -> None:
    study = await world.study(
        searcher={"kind": "botorch", "candidates": 200, "cost": {"metric": "seconds"}},
        objectives=[{"metric": "loss"}, {"metric": "speed", "goal": "maximize"}],
        constraints=[{"metric": "bytes", "at_most": 0.8}],
    )
    for number in range(8):
        run = await world.begin(study)
        x = run.taken.claimed.config["x"]
        values = {"loss": (x - 0.3) ** 2, "speed": x, "bytes": x}
        await run.report(1, 1.0 + number % 2, **values)
        await run.tell(**values)
    async with suggesting(world, lanes):
        await lanes.models.warm_up(modules(BoTorch()))
        number = await _ask_until_answered(world, study)
    origin = await world.one("select origin from trial where number = %s", number)
    assert origin["acquisition_function"] == "log_nehvi"
    assert set(origin["predicted"]) == {"loss", "speed", "bytes"}
    assert 0 < origin["feasible"] <= 1
    assert 0.5 < origin["cost"] < 3
    assert origin["predicted"]["speed"]["mean"] == pytest.approx(
        origin["predicted"]["bytes"]["mean"], abs=0.05
    )


async def _ask_until_answered(world: World, study: KnownStudy) -> int:
    run = None
    while run is None:
        run = await world.ask(study, wait=20)
    return run.number


async def test_two_suggesters_share_the_work(world: World, lanes: Lanes) -> None:
    studies = [await world.study(searcher={"kind": "random"}) for _ in range(4)]
    async with suggesting(world, lanes), suggesting(world, lanes):
        asks = [_ask_until_answered(world, study) for study in studies for _ in range(10)]
        await asyncio.wait_for(asyncio.gather(*asks), 30)
    assert await world.one("select count(*) from trial") == 40
    await world.check()


async def test_a_study_whose_space_ends_completes_by_itself(world: World, lanes: Lanes) -> None:
    study = await world.study(searcher={"kind": "grid", "points": 4})
    async with suggesting(world, lanes):
        for _ in range(4):
            run = await world.ask(study, wait=20)
            assert run is not None
            await run.tell(loss=1.0)
        async with asyncio.timeout(10):
            while await world.one("select state from study") != "completed":
                with contextlib.suppress(StudyEnded):  # it may complete just before the ask
                    assert await world.ask(study) is None
                await asyncio.sleep(0.05)
        with pytest.raises(StudyEnded, match="exhausted"):
            await world.ask(study)


async def _start(world: World, **more: str) -> asyncio.subprocess.Process:
    environment = os.environ | {"TRIMTAB_DATABASE_URL": world.url, **more}
    code = "from service.commands import suggest; suggest()"
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment)


async def _children(process: asyncio.subprocess.Process) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(process.pid).children(recursive=True)]


async def _gone(pids: list[int]) -> None:
    import psutil

    async with asyncio.timeout(10):
        while any(psutil.pid_exists(pid) for pid in pids):
            await asyncio.sleep(0.05)


async def test_sigterm_ends_it_and_its_children_and_another_goes_on_at_once(world: World) -> None:
    study = await world.study(searcher={"kind": "botorch"})
    await finish_some(world, study, 3)
    listening = asyncio.create_task(world.ready.listen(str(world.pool.conninfo)))
    process = await _start(world, TRIMTAB_BATCH_SECONDS="300")
    waiting = asyncio.create_task(world.ask(study, wait=20))
    async with asyncio.timeout(30):
        while not await world.rows("select 1 from batch where state = 'running'"):
            await asyncio.sleep(0.02)
    children = await _children(process)
    process.terminate()
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    await _gone(children)
    second = await _start(world, TRIMTAB_FIT_SECONDS="30")
    try:
        assert await waiting is not None or await _ask_until_answered(world, study) >= 3
        assert await world.one("select max(attempt) from batch") == 2
    finally:
        second.terminate()
        await second.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_killed_suggester_leaves_a_batch_that_another_takes_over(world: World) -> None:
    study = await world.study(searcher={"kind": "botorch"})
    await finish_some(world, study, 3)
    listening = asyncio.create_task(world.ready.listen(str(world.pool.conninfo)))
    process = await _start(world, TRIMTAB_BATCH_SECONDS="1.5")
    waiting = asyncio.create_task(world.ask(study, wait=20))
    async with asyncio.timeout(30):
        while not await world.rows("select 1 from batch where state = 'running'"):
            await asyncio.sleep(0.02)
    children = await _children(process)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await _gone(children)
    second = await _start(world, TRIMTAB_BATCH_SECONDS="1.5")
    try:
        assert await waiting is not None or await _ask_until_answered(world, study) >= 3
        assert await world.one("select max(attempt) from batch") >= 2
    finally:
        second.terminate()
        await second.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    await world.check()
