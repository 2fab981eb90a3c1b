"""How long a study waits for its next agent after one has failed."""

FIRST_SECONDS = 1.0
MOST_SECONDS = 60.0


class Backoff:
    """Counts failures in a row for each study; a trial that was run to its end forgives them."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def failed(self, study: str, now: float) -> None:
        """An agent of the study failed: wait 1, 2, 4 ... up to 60 seconds."""
        count = self._failures.get(study, 0)
        self._failures[study] = count + 1
        self._until[study] = now + min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(count, 10))

    def rest(self, study: str, now: float) -> None:
        """An agent found nothing to do: the list that says otherwise may be a moment old."""
        self._until[study] = max(self._until.get(study, now), now + FIRST_SECONDS)

    def succeeded(self, study: str) -> None:
        """A trial of the study ran to its end."""
        self._failures.pop(study, None)

    def waits(self, study: str, now: float) -> bool:
        """Whether no agent should be started yet."""
        return now < self._until.get(study, now)
