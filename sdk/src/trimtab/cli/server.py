"""Which server the command line speaks to."""

from dataclasses import dataclass, field

import httpx
import typer

from trimtab.client import Client

# Somebody sits and waits: say soon that there is no server.
PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Server:
    """The options that stand before the command."""

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    transport: httpx.BaseTransport | None = None

    def connect(self) -> Client:
        """A client of the server; raises NoServer."""
        return Client(self.url, self.key, patience=PATIENCE, transport=self.transport)


def connect(context: typer.Context) -> Client:
    """The client that the command's options ask for."""
    server: Server = context.obj
    return server.connect()
