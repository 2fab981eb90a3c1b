"""Waiting for something that another process does."""

import time
from collections.abc import Callable


def wait_until(true: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Look until it is true or the time is over; whether it was."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True
