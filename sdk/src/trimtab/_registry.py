"""The trials that this process holds, so that none is left behind when it ends."""

import atexit
import contextlib
import os
import weakref
from typing import Protocol

from trimtab._retry import Retry
from trimtab.errors import TrimtabError

# A program that ends does not wait long for a server that is away: the leases run out anyway.
PARTING = Retry(patience=2.0)


class Held(Protocol):
    """Something that holds a lease."""

    def abandon(self, retry: Retry) -> None:
        """Give the lease back."""
        ...


class Registry:
    """What is open in this process.  A forked child inherits none of it."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[Held] = weakref.WeakSet()
        self._pid = os.getpid()

    def add(self, held: Held) -> None:
        """Give it back if the process ends before it is discarded."""
        if self._pid != os.getpid():
            self._open, self._pid = weakref.WeakSet(), os.getpid()
        self._open.add(held)

    def discard(self, held: Held) -> None:
        """It was ended."""
        self._open.discard(held)

    def abandon_all(self) -> None:
        """Give back whatever is still open."""
        if self._pid != os.getpid():
            return
        for held in list(self._open):
            with contextlib.suppress(TrimtabError):
                held.abandon(PARTING)


OPEN = Registry()
atexit.register(OPEN.abandon_all)
