"""Waiting for other processes, with a deadline and a reason."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def await_found(look: Callable[[], Found | None], *, seconds: float, what: str) -> Found:
    """Look until something is found, and return it; AssertionError when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.05)
