"""A real `trimtab up` in the hands of a test."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from service.up.clock import wait_until
from service.up.home import Home

READY_SECONDS = 120
STOP_SECONDS = 60
COMMAND = (sys.executable, "-P", "-m", "trimtab", "up")


class RunningUp:
    """`trimtab up` for a home, on a free port, with what it says in a file beside it."""

    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        self.home = home
        self._home = Home(home)
        self._output = home.parent / f"up-{os.urandom(4).hex()}.txt"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRIMTAB_")}
        # The first of a home takes any free port, later ones the port of the first.
        port = [] if home.exists() else ["--port", "0"]
        with self._output.open("wb") as output:
            self._popen = subprocess.Popen(
                [*COMMAND, "--home", str(home), *port, *options],
                env={**inherited, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=home.parent,
            )
        self.process = psutil.Process(self._popen.pid)
        self.url = ""
        self._key = ""

    def ready(self) -> "RunningUp":
        """Wait until it serves."""
        wait_until(
            lambda: "Trimtab is running." in self.said() or self._popen.poll() is not None,
            READY_SECONDS,
        )
        assert "Trimtab is running." in self.said(), self.said()
        found = self._home.read_credentials()
        self.url, self._key = found["url"], found["key"]
        return self

    def said(self) -> str:
        """All that it has printed."""
        return self._output.read_text()

    def lines(self) -> list[str]:
        """The same in lines."""
        return self.said().splitlines()

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        return self._popen.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it now, if it has not ended."""
        self._popen.kill()
        self._popen.wait()

    @property
    def key(self) -> str:
        """The admin key."""
        return self._key

    def get(self, path: str, *, key: str | None = None) -> httpx.Response:
        """Ask it, with the admin key unless another one is given."""
        headers = {"Authorization": f"Bearer {key or self._key}"}
        return httpx.get(self.url + path, headers=headers, timeout=60)

    def post(self, path: str, body: object) -> httpx.Response:
        """Send it something, as admin."""
        headers = {"Authorization": f"Bearer {self._key}"}
        return httpx.post(self.url + path, headers=headers, json=body, timeout=60)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every account of the machine may enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="trimtab-up-", dir="/tmp"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def processes_in(folder: Path, *, but: str | None = None) -> list[psutil.Process]:
    """Processes that were started for this folder: it stands in their command or environment.

    Those whose name begins with `but` are left out.
    """
    return [process for process in psutil.process_iter() if _belongs(process, str(folder), but)]


def kill_all_in(folder: Path) -> None:
    """End what is left of a test."""
    for process in processes_in(folder):
        with suppress(psutil.Error):
            process.kill()


def _belongs(process: psutil.Process, folder: str, but: str | None) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        if but is not None and process.name().startswith(but):
            return False
        words = [*process.cmdline(), *process.environ().values(), process.cwd()]
    except psutil.Error:
        return False
    return any(folder in word for word in words)
