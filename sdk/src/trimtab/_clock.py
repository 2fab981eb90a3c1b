"""Time, as one object, so that tests can hold it still."""

import threading
import time


class Clock:
    """The monotonic clock of this process."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        """Wait that long, or until `wake` is set."""
        if wake is None:
            time.sleep(seconds)
        else:
            wake.wait(seconds)
