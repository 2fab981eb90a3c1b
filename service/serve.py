"""The API as a process: uvicorn around the app."""

import socket

from service.settings import Settings

# Less than the 10 s after which `trimtab up` and container engines kill.
GRACE_SECONDS = 8


def serve(settings: Settings, *, fd: int | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, then let requests end for a few seconds.

    `fd` is a listening socket that was handed down; else the settings' host and port.
    """
    import uvicorn

    from service.app import create_app
    from service.observability.logs import configure

    configure(level=settings.log_level, as_json=settings.log_json)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        access_log=False,  # the app logs requests itself, without what they carry
        log_level=settings.log_level.lower(),
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    sockets = None if fd is None else [socket.socket(fileno=fd)]
    uvicorn.Server(config).run(sockets=sockets)
