"""The address that the API listens on."""

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

HOST = "127.0.0.1"
PORT = 8787
TRIES = 100


class NoPort(RuntimeError):
    """No port could be had."""


def listen(ports: Iterable[int], host: str = HOST) -> socket.socket:
    """Listen on the first of these ports that is free.

    The socket stays open in `trimtab up`: while the API is started again, callers wait instead of
    being refused, and nobody else can take the port.
    """
    error: OSError | None = None
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1024)
        except OSError as busy:
            listener.close()
            error = busy
        else:
            return listener
    raise NoPort(f"no port to listen on at {host}: {error}")


def wanted_ports(asked: int | None, last_url: str | None) -> list[int]:
    """The port asked for; else the last one, which workers may know, then 8787 and up."""
    if asked is not None:
        return [asked]
    last = urlsplit(last_url or "").port
    usual = list(range(PORT, PORT + TRIES))
    return usual if last is None else [last, *usual]
