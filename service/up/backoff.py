"""How long to wait before something that ended is started again."""

from dataclasses import dataclass, replace

FIRST = 0.2  # seconds
LONGEST = 30.0
FORGIVEN = 60.0  # seconds of running after which earlier ends are forgotten


@dataclass(frozen=True)
class Backoff:
    """Twice as long after each end that came soon after a start."""

    ends: int = 0
    started: float = 0.0
    again: float = 0.0

    def begun(self, now: float) -> "Backoff":
        """It was started now."""
        return replace(self, started=now)

    def ended(self, now: float) -> "Backoff":
        """It ended, or could not be started: `again` is when to try the next time."""
        ends = 0 if now - self.started > FORGIVEN else self.ends
        return replace(self, ends=ends + 1, again=now + min(LONGEST, FIRST * 2**ends))
