"""A whole `trimtab up`, as a person starts it, in a folder of its own."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import trimtab as tt

from service.up.cluster import prepare
from service.up.home import Home
from tests.kill import processes
from tests.kill.waiting import await_found

READY = "Trimtab is running."
START_SECONDS = 90
STOP_SECONDS = 40


@dataclass
class Up:
    """`trimtab up` in `folder`, whose `code` holds the programs that its fleet may run."""

    folder: Path
    port: int = field(default_factory=lambda: free_port())
    fleets: set[int] = field(default_factory=set)  # every fleet's process that was seen
    _started: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Home:
        """Where it keeps everything."""
        return Home(self.folder / "home")

    @property
    def code(self) -> Path:
        """Where it is started, and where programs lie."""
        return self.folder / "code"

    @property
    def database_url(self) -> str:
        """The embedded PostgreSQL's database, password included."""
        return prepare(self.home).url()

    @property
    def api_log(self) -> Path:
        """What the API has said."""
        return self.home.logs / "api.log"

    def client(self) -> tt.Client:
        """A client with the key that `up` wrote down."""
        credentials = self.home.read_credentials()
        return tt.Client(credentials["url"], credentials["key"], patience=60)

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        known = self.said.count(READY)
        with self._output.open("ab") as output:
            self._started = subprocess.Popen(
                [sys.executable, "-P", "-m", "trimtab", "up", "--port", str(self.port)],
                env=_environment(self.folder),
                cwd=self.code,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=processes.ending_with_us(signal.SIGINT),
            )
        await_found(lambda: self._ready(known), seconds=START_SECONDS, what="`trimtab up`")

    def stop(self) -> int:
        """Ctrl-C; its exit status."""
        assert self._started is not None
        self._started.send_signal(signal.SIGINT)
        return self._started.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Kill -9 of `trimtab up` itself."""
        assert self._started is not None
        self._started.kill()
        self._started.wait()

    def part(self, name: str) -> psutil.Process:
        """The process that runs `trimtab <name>` for it, once it is there."""

        def look() -> psutil.Process | None:
            assert self._started is not None
            children = psutil.Process(self._started.pid).children()
            return next((p for p in children if processes.command(p)[4:5] == [name]), None)

        return await_found(look, seconds=60, what=f"`trimtab {name}`")

    def fleet(self) -> psutil.Process:
        """The fleet's process; it is remembered, to look for what it leaves behind."""
        found = self.part("fleet")
        self.fleets.add(found.pid)
        return found

    def postmaster(self) -> psutil.Process:
        """The database server."""
        return psutil.Process(int((self.home.pg / "postmaster.pid").read_text().split()[0]))

    @property
    def said(self) -> str:
        """What it has printed."""
        return self._output.read_text() if self._output.exists() else ""

    def end(self) -> list[str]:
        """End whatever is left, however the test went; what had to be killed."""
        if self._started is not None and self._started.poll() is None:
            self._started.kill()
            self._started.wait()
        left = processes.started_in(self.folder)
        names = [" ".join(processes.command(p))[:200] for p in left]
        for process in left:
            process.kill()
        return names

    @property
    def _output(self) -> Path:
        return self.folder / "up.log"

    def _ready(self, known: int) -> bool:
        assert self._started is not None
        assert self._started.poll() is None, self.said
        return self.said.count(READY) > known


def free_port() -> int:
    """A port that nobody has now; it stays the same over restarts, as it does for a person."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    return plain | {
        "TRIMTAB_HOME": str(folder / "home"),
        "TRIMTAB_CODE": str(folder / "code"),
        "TRIMTAB_LOG_JSON": "true",
        # A suggester that dies in a batch is replaced after so long: as short as the leases.
        "TRIMTAB_BATCH_SECONDS": "3",
        "PYTHONUNBUFFERED": "1",
    }
