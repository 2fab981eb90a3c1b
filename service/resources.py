"""What every request may use: settings, connections, keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from service.db.engine import HotPool
from service.leases.known import Known
from service.settings import Settings
from service.suggester.ready import Ready

if TYPE_CHECKING:
    from service.auth.keyring import Keyring


@dataclass(frozen=True)
class Resources:
    """Made when the app starts, closed when it ends; kept in `app.state.resources`."""

    settings: Settings
    engine: AsyncEngine  # lists, studies, keys
    hot: HotPool  # ask, report, heartbeat, tell, and looking up a key
    storage: str  # the root under which checkpoints lie: a folder or an fsspec URL
    keyring: "Keyring"
    known: Known = field(default_factory=Known)  # facts that never change
    ready: Ready = field(default_factory=Ready)  # wakes asks when suggestions have come

    @asynccontextmanager
    async def cold(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for everything that is not a hot call, in one transaction."""
        async with self.engine.begin() as connection:
            raw = await connection.get_raw_connection()
            driver: AsyncConnection[Any] = raw.driver_connection  # type: ignore[assignment]
            yield driver


async def resources(request: Request) -> Resources:
    """The app's resources, as a dependency."""
    found: Resources = request.app.state.resources
    return found


Needs = Annotated[Resources, Depends(resources)]


def storage_of(settings: Settings) -> str:
    """Where checkpoints lie: the setting, else a folder in the server's home."""
    if settings.storage:
        return settings.storage
    from trimtab.home import home

    return str((settings.home or home()) / "checkpoints")
