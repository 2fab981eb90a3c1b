"""Lanes: who gets which process, and what becomes of one that does not start."""

import asyncio
from collections.abc import Sequence

import pytest

from search.searchers.sobol import Sobol
from service.suggester.children import Child, ChildDied, Lane
from service.suggester.models import QUICK
from tests.suggester.making import fit


async def test_a_lane_serves_as_many_at_once_as_it_may() -> None:
    lane = Lane(2)
    try:
        async with lane.child(1) as one, lane.child(2) as two:
            assert one is not two
            third = asyncio.create_task(_borrow(lane))
            done, _ = await asyncio.wait({third}, timeout=0.05)
            assert not done
        assert await asyncio.wait_for(third, 5)
    finally:
        await lane.close()


async def test_whoever_waits_gets_an_old_process_while_a_new_one_still_loads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading, loaded = asyncio.Event(), asyncio.Event()

    async def load(child: Child, modules: Sequence[str]) -> None:
        loading.set()
        await loaded.wait()

    lane = Lane(2)
    try:
        async with lane.child(1) as old:
            monkeypatch.setattr(Child, "warm_up", load)
            waiting = asyncio.create_task(_taken(lane))
            await asyncio.wait_for(loading.wait(), 10)
            assert not waiting.done()
        assert await asyncio.wait_for(waiting, 5) is old
        loaded.set()
        async with lane.child(1), lane.child(2) as new:
            assert new is not old
    finally:
        loaded.set()
        await lane.close()


async def test_a_process_that_dies_while_it_loads_is_handed_over_and_then_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dies(child: Child, modules: Sequence[str]) -> None:
        await child.kill()
        raise ChildDied("died with exit code -9")

    lane = Lane(1)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Child, "warm_up", dies)
            async with lane.child(1, modules=QUICK) as dead:
                assert not dead.alive
        async with lane.child(1) as fresh:
            assert (await fresh.fit(fit(Sobol()), 30)).error is None
    finally:
        await lane.close()


async def test_closing_ends_a_process_that_is_still_loading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading = asyncio.Event()
    begun: list[Child] = []

    async def load(child: Child, modules: Sequence[str]) -> None:
        begun.append(child)
        loading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Child, "warm_up", load)
    lane = Lane(1)
    taking = asyncio.create_task(_taken(lane))
    await asyncio.wait_for(loading.wait(), 10)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await lane.close()
    assert not begun[0].alive


async def _taken(lane: Lane) -> Child:
    async with lane.child(1, modules=QUICK) as child:
        return child


async def _borrow(lane: Lane) -> bool:
    async with lane.child(1) as child:
        return child.alive
