"""What every request may use: settings, connections, keys."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from service.db.engine import HotPool
from service.settings import Settings

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
