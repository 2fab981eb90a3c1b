"""A Trimtab to run the demo on: the one that runs already, or our own for as long as we run."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

COMMAND = (sys.executable, "-P", "-m", "trimtab", "up")
READY = "Trimtab is running"
START_SECONDS = 180.0
STOP_SECONDS = 60.0  # `trimtab up` gives each of its parts ten
LOOK = 0.1  # seconds


class NotStarted(RuntimeError):
    """`trimtab up` did not come up."""


class Underneath:
    """`trimtab up` as a context: it runs inside, and is gone after, unless it was there before.

    It gets a session of its own, so that a Ctrl-C reaches us alone and we end it in order.
    """

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        self._log = home / "logs" / "up.log"
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Underneath":
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            started_at = log.tell()
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            with self._log.open(encoding="utf-8", errors="replace") as log:
                log.seek(started_at)
                self._follow(log, self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End what we started; a Ctrl-C meanwhile makes it hurry."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self._say("Stopping Trimtab ...")
        process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
            try:
                process.wait(1)
            except subprocess.TimeoutExpired:
                continue
            except KeyboardInterrupt:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)

    def _follow(self, log: TextIO, process: subprocess.Popen[bytes]) -> None:
        """Pass on what it says until it is ready.  Raises NotStarted when it ends before."""
        deadline = time.monotonic() + START_SECONDS
        said: list[str] = []
        while not said or not said[-1].startswith(READY):
            ended = process.poll() is not None  # before reading: its last words are there then
            line = log.readline().strip()
            if line:
                said.append(line)
                if not line.startswith(READY):
                    self._say(f"  {line}")
            elif ended or time.monotonic() > deadline:
                why = f"exit status {process.returncode}" if ended else "no answer in time"
                raise NotStarted(f"`trimtab up` did not start ({why}); see {self._log}")
            else:
                time.sleep(LOOK)
