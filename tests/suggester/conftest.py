"""What the tests of the suggester share."""

from collections.abc import AsyncIterator

import pytest

from service.suggester.children import Lane
from service.suggester.compute import Lanes
from tests.leases.world import World, open_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A project in a database of its own."""
    async with open_world(database_url) as found:
        yield found


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    """Processes to compute in; gone after the test."""
    found = Lanes(quick=Lane(1), models=Lane(2))
    yield found
    await found.close()
