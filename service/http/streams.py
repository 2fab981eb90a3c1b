"""Answers that are sent while they are made."""

from collections.abc import AsyncIterator
from typing import TypeVar

Item = TypeVar("Item")


async def begun(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """The same items, the first of which has been made already.

    What is wrong with a request shows with its first item; once an answer has begun, it is too late
    to say so.
    """
    try:
        first = [await anext(items)]
    except StopAsyncIteration:
        first = []
    return _all(first, items)


async def _all(first: list[Item], items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    for item in first:
        yield item
    async for item in items:
        yield item
