"""What a child prints: into a file as a whole, and its end in memory for the attempt's record."""

import os
import select
import threading
from pathlib import Path
from typing import BinaryIO

TAIL_BYTES = 16 * 1024
FILE_BYTES = 16 * 1024 * 1024  # a runaway print must not fill the disk
_CHUNK = 64 * 1024


class Capture:
    """Reads a pipe to its end in a thread of its own, so that the child never waits for us."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._open = True
        self._tail = bytearray()
        self._file: BinaryIO | None = None
        self._written = 0
        self._thread = threading.Thread(target=self._pump, name="capture", daemon=True)
        self._thread.start()

    def begin(self, file: Path) -> None:
        """From here on what is printed belongs to a new attempt, whose log is `file`."""
        with self._lock:
            self._drain()
            self._close_file()
            self._tail.clear()
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file, self._written = file.open("ab"), 0

    def tail(self) -> str:
        """The end of what was printed since `begin`, everything that is in the pipe included."""
        with self._lock:
            self._drain()
            # Postgres stores no NUL.
            return self._tail.decode(errors="replace").replace("\0", "\ufffd")

    def close(self) -> None:
        """Stop reading and close the file; call it when the child is gone."""
        with self._lock:
            self._drain()
            self._open = False
            self._close_file()
        self._thread.join(timeout=2)
        os.close(self._descriptor)

    def _pump(self) -> None:
        while self._open:
            self._readable(500)  # woken twice a second to see whether it is still wanted
            with self._lock:
                self._take()

    def _drain(self) -> None:
        while self._take():
            pass

    def _take(self) -> bool:
        """Read what is there; False when there is nothing (more)."""
        if not self._open or not self._readable(0):
            return False
        data = os.read(self._descriptor, _CHUNK)
        if not data:
            self._open = False
            return False
        self._keep(data)
        return True

    def _readable(self, milliseconds: int) -> bool:
        poll = select.poll()  # one for each call: it refuses to be used by two threads
        poll.register(self._descriptor, select.POLLIN | select.POLLHUP)
        return bool(poll.poll(milliseconds))

    def _keep(self, data: bytes) -> None:
        self._tail += data
        del self._tail[:-TAIL_BYTES]
        if self._file is not None and self._written < FILE_BYTES:
            self._file.write(data[: FILE_BYTES - self._written])
            self._file.flush()
            self._written += len(data)

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
