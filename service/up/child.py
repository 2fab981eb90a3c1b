"""A process of ours, in a group of its own, with its output in a log."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.up.clock import wait_until
from service.up.guardian import Guardian


@dataclass
class Child:
    """A command to keep running; `keep` are descriptors that it inherits."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    guardian: Guardian
    keep: tuple[int, ...] = ()
    nice: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> str:
        """The file that its output goes to."""
        return str(self.log_file)

    def start(self) -> None:
        """Start it, with nothing left of the last time; the guardian ends it if we are killed."""
        self._sweep()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                pass_fds=self.keep,
                process_group=0,
                cwd=self.log_file.parent,
            )
        self.guardian.watch(self._process.pid)
        if self.nice:
            with suppress(OSError):  # it has ended already, which is seen at the next look
                os.setpriority(os.PRIO_PGRP, self._process.pid, self.nice)

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def ending(self) -> str:
        """Its exit status or the signal that ended it."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return "did not start"
        return f"exit status {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"

    def run(self, check: Callable[[], None]) -> bool:
        """Run it once, to its end, and say whether it succeeded; `check` may raise to end it."""

        def ended() -> bool:
            check()
            return not self.alive()

        try:
            self.start()
            while not wait_until(ended, 60.0):
                pass
            return self._process is not None and self._process.returncode == 0
        finally:
            self._sweep()

    def stop(self, seconds: float) -> None:
        """End it and what it started: SIGTERM to it, then SIGKILL to the whole group."""
        if self._process is None:
            return
        self._process.terminate()
        wait_until(lambda: not self.alive(), seconds)
        self._sweep()

    def _sweep(self) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.guardian.forget(self._process.pid)
        self._process = None
