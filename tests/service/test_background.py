"""Work beside the requests ends with the app, whatever becomes of a cancellation."""

import asyncio

from service.background import beside


async def test_work_ends_with_the_block() -> None:
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async with beside(work(), name="work"):
        while rounds < 3:
            await asyncio.sleep(0)
    seen = rounds
    await asyncio.sleep(0.01)
    assert rounds == seen


async def test_a_cancellation_that_is_swallowed_is_repeated() -> None:
    swallowed = 0

    async def work() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 1:
                    raise

    async with asyncio.timeout(20), beside(work(), name="work"):
        await asyncio.sleep(0)
    assert swallowed == 2


async def test_work_that_ended_by_itself_is_left_in_peace() -> None:
    async def work() -> None:
        return

    async with beside(work(), name="work"):
        await asyncio.sleep(0)
