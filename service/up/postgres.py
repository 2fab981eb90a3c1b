"""The embedded PostgreSQL server: on a unix socket only, every connection with a password.

It outlives us on purpose: after a kill -9 of `trimtab up` the next one finds it running, with
nothing lost, and goes on with it.
"""

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from service.up.account import Account

DATABASE = "trimtab"
# A unix socket's path may have 103 bytes on macOS; ".s.PGSQL.5432" and a lock's suffix come on top.
LONGEST_SOCKET_FOLDER = 80
START_SECONDS = 60.0  # a crashed server replays its log first
SETTINGS = """\
# Written by `trimtab up` at every start.
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 100
logging_collector = on
log_directory = '{logs}'
log_filename = 'postgres-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_file_mode = 0600
# Configs and keys are nobody's business who reads a log.
log_min_error_statement = panic
log_error_verbosity = terse
"""


class PostgresFailed(RuntimeError):
    """The embedded PostgreSQL server cannot be started."""


@dataclass(frozen=True)
class Postgres:
    """A cluster that `service.up.cluster` made, and its server."""

    data: Path
    programs: Path
    account: Account
    password: str = field(repr=False)
    name: str = "postgres"

    @property
    def log(self) -> str:
        """The folder of its logs, one for each day of the week."""
        return str(self.data / "log")

    @property
    def sockets(self) -> Path:
        """The folder of its socket: inside the cluster, unless that makes too long a path."""
        if len(os.fsencode(self.data)) <= LONGEST_SOCKET_FOLDER:
            return self.data
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        # Not $TMPDIR: a later `up` has to find the same place.
        return Path("/tmp") / f"trimtab-{os.geteuid()}-{digest}"  # noqa: S108

    def url(self, database: str = DATABASE) -> str:
        """The URL of a database of it, password included."""
        return (
            f"postgresql://{DATABASE}:{quote(self.password)}@/{database}"
            f"?host={quote(str(self.sockets), safe='')}"
        )

    def start(self, *, within: float = START_SECONDS) -> None:
        """Start the server, or find it running, and wait until it answers.

        Raises PostgresFailed when it does not within so many seconds.
        """
        deadline = time.monotonic() + within
        while not self._answers():
            said = "" if self.alive() else self._try_to_start()
            if time.monotonic() > deadline:
                raise PostgresFailed(f"PostgreSQL does not start: {said or self._last_log()}")
            time.sleep(0.1)

    def alive(self) -> bool:
        """Whether the postmaster runs."""
        return self._postmaster() is not None

    def ending(self) -> str:
        """Say that it ended; a server that is no child of ours leaves no exit status."""
        return "ended"

    def stop(self, seconds: float) -> None:
        """Stop the server: sessions are cut off, what was committed is on disk."""
        for mode, wait in (("fast", seconds), ("immediate", 5.0)):
            if not self.alive():
                return
            wanted = ["stop", "-w", "-t", str(max(1, round(wait))), "-m", mode]
            self.account.run([self.programs / "pg_ctl", *wanted, "-D", self.data])

    def _answers(self) -> bool:
        if not self.alive():
            return False
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise PostgresFailed(
                    f"the password in the secrets folder is not that of {self.data}"
                ) from error
            return False  # starting, replaying its log, or just killed
        return True

    def _try_to_start(self) -> str:
        """Run pg_ctl once; what it said when it failed."""
        self._clear_lock()
        self._write_settings()
        where = ["-D", str(self.data), "-l", str(self.data / "start.log")]
        done = self.account.run([self.programs / "pg_ctl", "start", "-w", "-s", *where])
        return "" if done.returncode == 0 else done.stdout.strip()

    def _write_settings(self) -> None:
        if self.sockets != self.data:
            self._make_socket_folder()
        settings = SETTINGS.format(sockets=self.sockets, logs=self.log)
        self.account.write(self.data / "trimtab.conf", settings)
        # What the server says before its log collector runs; emptied so that it cannot grow.
        self.account.write(self.data / "start.log", "")

    def _make_socket_folder(self) -> None:
        owner = os.geteuid() if self.account.uid is None else self.account.uid
        if not self.sockets.exists():
            self.sockets.mkdir(mode=0o700)
            self.account.own(self.sockets)
        if self.sockets.lstat().st_uid != owner:
            raise PostgresFailed(f"{self.sockets} belongs to somebody else: remove it")

    def _postmaster(self) -> psutil.Process | None:
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            # A zombie, or another process with a used number, is not our server.
            dead = process.status() == psutil.STATUS_ZOMBIE or not self._serves(process)
        except (OSError, ValueError, psutil.Error):
            return None
        return None if dead else process

    def _serves(self, process: psutil.Process) -> bool:
        """Whether the process works on this cluster: all of a server's do so in its folder."""
        return process.name().startswith("postgres") and Path(process.cwd()) == self.data

    def _clear_lock(self) -> None:
        """Remove what a killed server left behind, once none of its processes is left.

        PostgreSQL takes any process that has the number in its lock file for the old server: a
        zombie that nobody collects would keep it from starting for ever.
        """
        lock = self.data / "postmaster.pid"
        if lock.exists() and not self.alive() and not any(map(self._works, psutil.process_iter())):
            lock.unlink(missing_ok=True)

    def _works(self, process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and self._serves(process)
        except psutil.Error:
            return False

    def _last_log(self) -> str:
        logs = sorted(Path(self.log).glob("*.log"), key=lambda path: path.stat().st_mtime)
        return logs[-1].read_text(errors="replace")[-2000:] if logs else "see " + self.log
