"""How many suggestions to make, and when: arithmetic on how a study stands.

The buffer holds max(1, running) suggestions, and more where asks come faster than fits: as many as
are asked for while the next fit runs and until somebody looks again.  How fast they come is what
was seen of late or, if that is more, what the workers would do if none had to wait: a study whose
asks wait for fits looks slow, and would stay so.  It holds no more than that, because every result
that a suggestion has not seen makes it a worse one; `origin.seen` tells, and the refresh below
bounds how many those are.
"""

from collections import deque
from dataclasses import dataclass, field
from math import ceil

from service.suggester.survey import Standing

LOOK_SECONDS = 0.15  # between two looks at a study that is being asked, with something to spare
MARGIN = 1.5  # asks do not come evenly, and a batch that fits hyperparameters takes longer
# Without a model nothing is lost by making more at once, and reading a long history costs time.
INSTANT_LOOKS = 10
WINDOW_SECONDS = 10.0  # over which the rate of asks is taken
LARGEST_BATCH = 256
# What fits may take of the time since the last one, to replace what is in the buffer.
LARGE_SHARE, SMALL_SHARE = 1.0, 0.05
MODEL_AHEAD = 2  # where a model makes them: a second worker does not wait for a fit either


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compute: so many suggestions; the buffer is replaced except what will be taken."""

    count: int
    refresh: bool
    soon_taken: int  # of the buffer, while this batch is computed


@dataclass(slots=True)
class Pace:
    """How fast a study is asked."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float, asked: int) -> None:
        """Remember that by this moment so many trials had been asked for."""
        self.seen.append((now, asked))
        while len(self.seen) > 2 and self.seen[1][0] <= now - WINDOW_SECONDS:
            self.seen.popleft()

    def rate(self, now: float) -> float:
        """Trials asked for per second of late."""
        if not self.seen:
            return 0.0
        then, asked = self.seen[0]
        # Over at least a second: two looks in quick succession say little.  Trials that lose their
        # workers are asked for again, so that the count may fall.
        return max(0, self.seen[-1][1] - asked) / max(1.0, now - then)


def plan(standing: Standing, rate: float, *, learns: bool, instant: bool) -> Plan | None:
    """What to compute for the study now; None for nothing.

    `learns`: its searcher would propose otherwise after new results.  `instant`: no model is to be
    fitted, so that the seconds of the latest batch say nothing.
    """
    if standing.busy or standing.exhausted:
        return None
    fit_seconds = 0.0 if instant else standing.fit_seconds
    rate = max(rate, standing.appetite)
    until_next = MARGIN * rate * (LOOK_SECONDS + fit_seconds)
    at_once = ceil(until_next * INSTANT_LOOKS) if instant else ceil(until_next) + 1
    ahead = max(1 if instant else MODEL_AHEAD, standing.running, at_once)
    if standing.trial_seconds is None and not instant:
        ahead += standing.demands  # how soon they are back, nobody knows yet
    wanted = standing.demands + ahead
    if standing.left is not None:
        wanted = min(wanted, standing.left)
    if learns and _stale(standing):
        taken = min(ceil(rate * fit_seconds), standing.buffered)
        count = wanted - (taken if standing.left is not None else 0)
        return _of(count, refresh=True, soon_taken=taken)
    lasts = standing.buffered > max(wanted // 2, until_next)
    if standing.demands < standing.buffered and lasts:
        return None
    return _of(wanted - standing.buffered, refresh=False, soon_taken=standing.buffered)


def _of(count: int, *, refresh: bool, soon_taken: int) -> Plan | None:
    if count <= 0:
        return None
    return Plan(count=min(count, LARGEST_BATCH), refresh=refresh, soon_taken=soon_taken)


def _stale(standing: Standing) -> bool:
    """Whether the buffer should be made anew, with what has been learned since.

    After a twentieth of all results, were it to take half of the time; after each, where that takes
    little of it.
    """
    if not standing.buffered or standing.seen is None or standing.since_fit is None:
        return False
    unseen = standing.finished + standing.answers - standing.seen
    share = LARGE_SHARE if unseen >= max(1, standing.finished // 20) else SMALL_SHARE
    return unseen > 0 and standing.fit_seconds <= share * standing.since_fit
