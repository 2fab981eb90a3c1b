"""When to try again, and how long to wait before."""

import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_RETRY_AFTER = 60.0

# Not seeded on purpose: the workers of a restarted server must not come back in step.
jitter: Callable[[float, float], float] = random.SystemRandom().uniform


@dataclass(frozen=True, slots=True)
class Retry:
    """Tries again until `patience` seconds have passed since the first try; None is for ever.

    Waits grow from `first` by doubling up to `cap`, each shortened at random by up to a half.
    """

    patience: float | None
    first: float = 0.1
    cap: float = 10.0

    def wait(self, tries: int, asked: float | None) -> float:
        """Seconds to wait after so many failed tries; `asked` is the server's Retry-After."""
        grown = min(self.cap, self.first * 2.0 ** min(tries - 1, 30))
        drawn = jitter(grown / 2, grown)
        return max(drawn, min(asked, LONGEST_RETRY_AFTER)) if asked else drawn

    def gives_up(self, elapsed: float) -> bool:
        """Whether no try should be made after so many seconds."""
        return self.patience is not None and elapsed > self.patience


# What a person waits for.
COLD = Retry(patience=10.0)
# What training depends on: it outlives any outage of the server.
HOT = Retry(patience=None)


def read_retry_after(text: str | None) -> float | None:
    """Seconds from a Retry-After header: it holds a number or a date, else this is None."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
