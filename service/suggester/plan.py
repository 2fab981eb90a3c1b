"""How many suggestions to make, and when: arithmetic on how a study stands.

The buffer holds max(1, running) suggestions, and one to spare, unless a single worker runs trials
whose results each bring a new batch.  It holds more where asks come faster than fits: as many as
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
TAKEN_OF_EACH = 2  # of a batch by a single worker, where not each result brings a new one


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
    spare = 0 if instant or _renewed_by_each(standing) else 1
    at_once = ceil(until_next * INSTANT_LOOKS) if instant else ceil(until_next) + spare
    alone = standing.alone and not instant
    ahead = max((TAKEN_OF_EACH if alone and spare else 1) + spare, standing.running, at_once)
    if standing.trial_seconds is None and not instant:
        ahead += standing.demands  # how soon they are back, nobody knows yet
    wanted = standing.demands + ahead
    if standing.left is not None:
        wanted = min(wanted, standing.left)
    lasts = standing.buffered > max(spare if alone else wanted // 2, until_next)
    lasts = lasts and standing.demands < standing.buffered
    # One worker takes what is newest: what a batch leaves in the buffer would only get older.
    anew = alone and not lasts and standing.buffered < wanted
    if learns and (_stale(standing) or anew):
        taken = min(round(rate * fit_seconds), standing.buffered)
        count = wanted - (taken if standing.left is not None else 0)
        return _of(count, refresh=True, soon_taken=taken)
    if lasts:
        return None
    return _of(wanted - standing.buffered, refresh=False, soon_taken=standing.buffered)


def _of(count: int, *, refresh: bool, soon_taken: int) -> Plan | None:
    if count <= 0:
        return None
    return Plan(count=min(count, LARGEST_BATCH), refresh=refresh, soon_taken=soon_taken)


def _stale(standing: Standing) -> bool:
    """Whether the buffer should be made anew, with what has been learned since."""
    if not standing.buffered or standing.seen is None or standing.since_fit is None:
        return False
    unseen = standing.finished + standing.answers - standing.seen
    share = _share(unseen, standing.finished)
    return unseen > 0 and standing.fit_seconds <= share * standing.since_fit


def _renewed_by_each(standing: Standing) -> bool:
    """Whether one worker runs trials one after another, and each result brings a new batch.

    Then the second suggestion of a batch would never be taken.  A second worker that comes waits
    for one fit, a small part of a trial.
    """
    if not standing.alone or standing.trial_seconds is None:
        return False
    return standing.fit_seconds <= _share(1, standing.finished) * standing.trial_seconds


def _share(unseen: int, finished: int) -> float:
    """What a fit may take of the time since the last one, for so many results not seen.

    Half of the time after a twentieth of all results; little of it after each.
    """
    return LARGE_SHARE if unseen >= max(1, finished // 20) else SMALL_SHARE
