"""Work that goes on beside the requests and ends with the app."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

AGAIN = 1.0  # seconds


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[None]:
    """Run the work while the block runs, and cancel it when the block is left.

    It is cancelled until it ends: `asyncio.wait_for`, which psycopg waits with, swallows a
    cancellation on Python 3.11 when what it waits for happens in the same moment.
    """
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=AGAIN)
