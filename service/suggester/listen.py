"""Hearing notifications, for as long as it takes; whoever listens also polls."""

import asyncio
from collections.abc import Callable

import psycopg

from service.observability.logs import log, where

RECONNECT_SECONDS = 1.0


async def listen(conninfo: str, channel: str, heard: Callable[[str | None], None]) -> None:
    """Call `heard` with each payload, until cancelled.

    With None after each new connection: what was said in between is lost.
    """
    while True:
        try:
            await _listen_once(conninfo, channel, heard)
        except psycopg.Error as error:
            log.warning("listening failed", channel=channel, error=where(error))
        await asyncio.sleep(RECONNECT_SECONDS)


async def _listen_once(conninfo: str, channel: str, heard: Callable[[str | None], None]) -> None:
    connection = await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, connect_timeout=5, application_name=f"trimtab-{channel}"
    )
    async with connection:
        await connection.execute(f"listen {channel}")
        heard(None)
        async for notification in connection.notifies():
            heard(notification.payload)
