"""A child process: a Python of its own, in a session and process group of its own.

Three pipes besides its output: trials go down one, answers come up another, and a third carries
nothing at all: its end-of-file tells the child that the agent is dead.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workers.capture import Capture
from workers.events import Event, Gone, Said

_GROUP_GONE_SECONDS = 5.0


class Child:
    """One `python -P -m trimtab.child`.  `say` receives what it answers, and its end, once."""

    def __init__(
        self, *, environment: Mapping[str, str], folder: Path, say: Callable[[Event], None]
    ) -> None:
        self._say = say
        self._ended = threading.Event()
        self._ready = threading.Event()
        orders_read, self._orders = os.pipe()
        self._replies, replies_write = os.pipe()
        lifeline_read, self._lifeline = os.pipe()
        output_read, output_write = os.pipe()
        theirs = (orders_read, replies_write, lifeline_read)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "trimtab.child", *map(str, theirs)],
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=theirs,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        finally:
            for descriptor in (*theirs, output_write):
                os.close(descriptor)
        self.output = Capture(output_read)
        self._reader = threading.Thread(target=self._read, name="replies", daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, name="wait", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    @property
    def ready(self) -> bool:
        """Whether it came up far enough to take trials."""
        return self._ready.is_set()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one JSON line.  A child that is gone is not an error here: its end is an event."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            view = memoryview(line)
            while view:
                view = view[os.write(self._orders, view) :]

    def end(self, grace: float) -> None:
        """End the whole group: a polite signal, `grace` seconds, SIGKILL.  Waits for its end."""
        if not self._ended.is_set():
            self._signal(signal.SIGTERM)
            if not self._ended.wait(grace):
                self._signal(signal.SIGKILL)
                self._ended.wait(_GROUP_GONE_SECONDS)
        self._await_group()

    def close(self) -> None:
        """Free the pipes of a child that is gone."""
        self.output.close()
        for descriptor in (self._orders, self._replies, self._lifeline):
            os.close(descriptor)

    def _read(self) -> None:
        with os.fdopen(os.dup(self._replies), "rb") as replies:
            for line in replies:
                with contextlib.suppress(ValueError):  # cut off by its death
                    self._hear(Said.read(json.loads(line)))

    def _hear(self, said: Said) -> None:
        if said.kind == "ready":
            self._ready.set()
        else:
            self._say(said)

    def _wait(self) -> None:
        # While its leader is a zombie the group's number cannot be given to anybody else, so what
        # is left of the group can be killed safely.  (Python has no waitid on macOS before 3.13.)
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self._signal(signal.SIGKILL)
        returncode = self._process.wait()
        self._reader.join(timeout=2)  # what it said last comes before its end
        self._ended.set()
        self._say(Gone(returncode))

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: zombies
            os.killpg(self.pid, number)

    def _await_group(self) -> None:
        """Wait until its last process is gone: until then GPU memory may still be held."""
        deadline = time.monotonic() + _GROUP_GONE_SECONDS
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.01)
