"""From the command line and the environment to a running fleet: the one place that reads either."""

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from trimtab._address import find
from trimtab._transport import Transport
from trimtab.errors import NoServer
from trimtab.home import home

from workers.api import HttpFleetApi
from workers.cluster import RayCluster
from workers.controller import Controller
from workers.environment import forget_secrets
from workers.settings import FleetSettings

log = logging.getLogger(__name__)


def run_fleet(
    *,
    url: str | None,
    key: str | None,
    ray_address: str,
    code: Sequence[Path] | None,
    cpus: float | None,
    gpus: float | None,
) -> None:
    """Run until SIGTERM or SIGINT; then give all trials back and leave, within ten seconds."""
    _log_plainly()
    address = find(url, key)
    if address.key is None:
        raise NoServer("a fleet needs a key that may read and run: set TRIMTAB_API_KEY")
    settings = FleetSettings(
        name=f"{socket.gethostname()[:60]}-{secrets.token_hex(3)}",
        url=address.url,
        key=address.key,
        code=_folders(code),
        logs=str(_log_folder()),
    )
    _leave_user_folder(Path(settings.logs))
    stop = _on_signals()
    transport = Transport(address)
    cluster = RayCluster(ray_address, cpus=cpus, gpus=gpus)
    log.info("fleet %s serves %s; programs from %s", settings.name, address.url, settings.code)
    try:
        Controller(HttpFleetApi(transport), cluster, settings).run(stop)
    finally:
        transport.close()


def _log_plainly() -> None:
    level = os.environ.get("TRIMTAB_LOG_LEVEL", "INFO").upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _folders(code: Sequence[Path] | None) -> tuple[str, ...]:
    given = code or [Path(p) for p in os.environ.get("TRIMTAB_CODE", "").split(os.pathsep) if p]
    return tuple(str(folder.expanduser().resolve()) for folder in given)


def _log_folder() -> Path:
    folder = home() / "logs" / "trials"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _leave_user_folder(folder: Path) -> None:
    """Ray puts the current folder first on its workers' path, and hands them our environment.

    A user's project with a `workers` package of its own would take the place of ours.
    """
    os.chdir(folder)
    forget_secrets(os.environ)


def _on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
