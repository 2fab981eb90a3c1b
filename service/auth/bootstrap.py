"""The first project, and the first key: without one, nobody could make another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from service.auth.keys import digest, public_part
from service.background import beside
from service.db.engine import libpq_url
from service.observability.logs import log, where
from service.resources import Resources
from service.settings import Settings

PROJECT = "default"
RETRY_SECONDS = 1.0

ADD_PROJECT = "insert into project (name) values (%s) on conflict (name) do nothing"
# A key that was revoked stays revoked: the row is there, and is left alone.
ADD_KEY = """
insert into api_key (project_id, public_id, name, digest, scopes)
select id, %s, 'bootstrap', %s, array['admin'] from project where name = %s
on conflict (public_id) do nothing
"""


class InvalidKey(ValueError):
    """TRIMTAB_BOOTSTRAP_KEY holds something that is no key."""


def ensure_key(settings: Settings) -> None:
    """Make the project `default` and, if there is a bootstrap key, the admin key for it.

    A repeat changes nothing.  Raises InvalidKey, and psycopg.Error while the database is away.
    """
    key = settings.bootstrap_key.get_secret_value() if settings.bootstrap_key else ""
    public = public_part(key) if key else None
    if key and public is None:
        raise InvalidKey(
            "TRIMTAB_BOOTSTRAP_KEY is no API key: make one with `python -m service.auth`"
        )
    with psycopg.connect(
        libpq_url(settings.database_url.get_secret_value()), connect_timeout=5
    ) as connection:
        connection.execute(ADD_PROJECT, (PROJECT,))
        if key:
            pepper = settings.key_pepper.get_secret_value()
            connection.execute(ADD_KEY, (public, digest(key, pepper), PROJECT))


@asynccontextmanager
async def bootstrapping(resources: Resources) -> AsyncIterator[None]:
    """See to the first key beside the requests, however long the database takes to come."""
    async with beside(_bootstrap(resources.settings), name="bootstrap"):
        yield


async def _bootstrap(settings: Settings) -> None:
    while True:
        try:
            return await asyncio.to_thread(ensure_key, settings)
        except InvalidKey as error:
            log.error("no bootstrap key", reason=str(error))
            return None
        except psycopg.Error as error:
            log.warning("no bootstrap key yet", error=where(error))
        await asyncio.sleep(RETRY_SECONDS)
