"""The parts of a cluster as an operator starts them by hand: nobody restarts them."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import trimtab as tt

from service.auth.keys import new_key
from tests.kill import processes
from tests.kill.waiting import await_found

STOP_SECONDS = 30


@dataclass
class ByHand:
    """Replicas of the API that listen on one address, a suggester, a fleet, as they are started."""

    folder: Path
    database_url: str
    key: str = field(default_factory=new_key)
    _listener: socket.socket = field(default_factory=lambda: _listen())
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The one address of all replicas: they accept from one socket, as behind a balancer."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def storage(self) -> Path:
        """Where checkpoints lie."""
        return self.folder / "checkpoints"

    def client(self) -> tt.Client:
        """A client with the admin key."""
        return tt.Client(self.url, self.key, patience=60)

    def migrate(self) -> None:
        """Make the admin key; the tables are there."""
        subprocess.run([*_TRIMTAB, "migrate"], env=self._environment(), check=True)

    def serve(self, name: str) -> None:
        """Start a replica, and wait until it serves."""
        known = self.log(name).read_text().count(_SERVES) if self.log(name).exists() else 0
        self._start(name, "serve", "--fd", str(self._listener.fileno()))
        served = f"a replica; its log: {self.log(name)}"
        await_found(
            lambda: self.log(name).read_text().count(_SERVES) > known, seconds=60, what=served
        )

    def suggest(self) -> None:
        """Start a suggester."""
        self._start("suggest", "suggest")

    def fleet(self) -> None:
        """Start a fleet with a Ray of its own."""
        code = str(self.folder / "code")
        self._start("fleet", "fleet", "--url", self.url, "--code", code, "--cpus", "2")

    def work(self, name: str, program: Path, *arguments: str) -> "subprocess.Popen[str]":
        """Start a worker that one speaks to, line by line."""
        with self.log(name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", str(program), *arguments],
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=processes.ending_with_us(signal.SIGKILL),
            )

    def kill(self, name: str) -> None:
        """SIGKILL one part."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def runs(self, name: str) -> bool:
        """Whether a part was started and not killed."""
        return name in self._running

    def process(self, name: str) -> psutil.Process:
        """A part that runs."""
        return psutil.Process(self._running[name].pid)

    def connections(self, name: str) -> int:
        """How many connections of clients a replica holds."""
        process = self.process(name)
        port = self._listener.getsockname()[1]
        held = process.net_connections("tcp")
        return sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in held)

    def log(self, name: str) -> Path:
        """What a part has said."""
        return self.folder / f"{name}.log"

    def stop(self) -> None:
        """SIGTERM, those first that need the others."""
        order = ("fleet", "suggest", *self._running)
        for name in dict.fromkeys(name for name in order if self.runs(name)):
            process = self._running.pop(name)
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) in {0, -signal.SIGTERM}, name

    def end(self) -> None:
        """End whatever is left, however the test went."""
        for name in list(self._running):
            self.kill(name)
        for process in processes.started_in(self.folder):
            process.kill()
        self._listener.close()

    def _start(self, name: str, *command: str) -> None:
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*_TRIMTAB, *command],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(self._listener.fileno(),),
                start_new_session=True,
                preexec_fn=processes.ending_with_us(signal.SIGTERM),
            )

    def _environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if name[:8] != "TRIMTAB_"}
        return plain | {
            "TRIMTAB_HOME": str(self.folder / "home"),
            "TRIMTAB_DATABASE_URL": self.database_url,
            "TRIMTAB_STORAGE": str(self.storage),
            "TRIMTAB_KEY_PEPPER": "pepper",
            "TRIMTAB_BOOTSTRAP_KEY": self.key,
            "TRIMTAB_URL": self.url,
            "TRIMTAB_API_KEY": self.key,
            "TRIMTAB_LOG_JSON": "true",
            "TRIMTAB_BATCH_SECONDS": "3",
        }


_TRIMTAB = (sys.executable, "-P", "-m", "trimtab")
_SERVES = "Application startup complete"


def _listen() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    return listener
