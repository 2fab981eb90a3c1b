"""What the tests of leases share."""

from collections.abc import AsyncIterator

import pytest

from tests.leases.world import World, open_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A project in a database of its own."""
    async with open_world(database_url) as found:
        yield found
