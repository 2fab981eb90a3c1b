"""The life of a trial as a table: what each event does in each state.

The SQL in service/leases and service/trials carries these transitions out, each conditional on the
state it starts from; a test drives every state through every event and compares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from search.trial import TrialState

QUEUED, RUNNING = TrialState.QUEUED, TrialState.RUNNING
COMPLETED, STOPPED, INFEASIBLE = TrialState.COMPLETED, TrialState.STOPPED, TrialState.INFEASIBLE
FAILED, CANCELLED = TrialState.FAILED, TrialState.CANCELLED

MAX_ATTEMPTS = 20  # of any kind: a trial that is given back for ever is not run for ever
LONGEST_DELAY = 600.0  # seconds between two attempts


class Event(StrEnum):
    """What can happen to a trial.

    `tell_*`, `report`, `heartbeat` and `release` come from the holder of the latest lease; the
    `late_*` ones from a worker whose lease ended as lost and whose trial nobody has taken since.
    """

    CLAIM = "claim"
    REPORT = "report"
    HEARTBEAT = "heartbeat"
    TELL_COMPLETED = "tell_completed"
    TELL_STOPPED = "tell_stopped"
    TELL_INFEASIBLE = "tell_infeasible"
    TELL_FAILED = "tell_failed"
    RELEASE = "release"
    EXPIRE = "expire"
    EXPIRE_STOPPING = "expire_stopping"  # the lease carried a request to stop
    EXPIRE_LAST = "expire_last"  # no attempt is left
    CANCEL = "cancel"
    RETRY = "retry"  # makes a new trial; this one stays as it is


class Refusal(StrEnum):
    """Why nothing happens; the values are error codes of the API."""

    LEASE_LOST = "lease_lost"
    WRONG_STATE = "wrong_state"
    NOTHING = "nothing"  # nobody asked: there is nothing to claim or to expire here


_LEASED = (Event.REPORT, Event.HEARTBEAT, Event.RELEASE)
_TELLS: Mapping[Event, TrialState] = {
    Event.TELL_COMPLETED: COMPLETED,
    Event.TELL_STOPPED: STOPPED,
    Event.TELL_INFEASIBLE: INFEASIBLE,
    Event.TELL_FAILED: FAILED,
}
_EXPIRIES: Mapping[Event, TrialState] = {
    Event.EXPIRE: QUEUED,
    Event.EXPIRE_STOPPING: STOPPED,
    Event.EXPIRE_LAST: FAILED,
}
_FINAL = tuple(state for state in TrialState if state.final)

TRANSITIONS: Mapping[tuple[TrialState, Event], TrialState | Refusal] = {
    (QUEUED, Event.CLAIM): RUNNING,
    (QUEUED, Event.CANCEL): CANCELLED,
    (QUEUED, Event.RETRY): Refusal.WRONG_STATE,
    **{(QUEUED, event): Refusal.LEASE_LOST for event in _LEASED},
    # A late result: the lease ended as lost and nobody has taken the trial since.
    **{(QUEUED, event): state for event, state in _TELLS.items()},
    **{(QUEUED, event): Refusal.NOTHING for event in _EXPIRIES},
    (RUNNING, Event.CLAIM): Refusal.NOTHING,
    (RUNNING, Event.CANCEL): CANCELLED,
    (RUNNING, Event.RETRY): Refusal.WRONG_STATE,
    (RUNNING, Event.REPORT): RUNNING,
    (RUNNING, Event.HEARTBEAT): RUNNING,
    (RUNNING, Event.RELEASE): QUEUED,
    **{(RUNNING, event): state for event, state in _TELLS.items()},
    **{(RUNNING, event): state for event, state in _EXPIRIES.items()},
    **{(state, Event.CLAIM): Refusal.NOTHING for state in _FINAL},
    **{(state, Event.CANCEL): Refusal.WRONG_STATE for state in _FINAL},
    **{(state, Event.RETRY): state for state in _FINAL},
    **{(state, event): Refusal.LEASE_LOST for state in _FINAL for event in (*_LEASED, *_TELLS)},
    **{(state, event): Refusal.NOTHING for state in _FINAL for event in _EXPIRIES},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """An attempt that ended without a tell, and all that decides what comes of its trial."""

    attempt: int
    lost: int  # attempts that ended lost before this one
    max_attempts: int
    request: str | None  # what the lease asked of its worker: stop, release
    study_state: str
    poison: bool = False  # a second worker is lost with no progress in between


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What becomes of the trial."""

    state: TrialState
    reason: str | None = None
    message: str | None = None
    counts_as_lost: bool = False
    delay: float = 0.0  # seconds before it can be taken again, to be spread by a random factor


def after_expiry(loss: Loss) -> Aftermath:
    """What becomes of a trial whose lease ran out."""
    if (stopped := _stopping(loss)) is not None:
        return stopped
    if loss.request == "release":  # it was asked back: nobody is at fault
        return _again(loss, counts=False, delay=0.0)
    if loss.poison:
        text = "two workers were lost on it without any progress"
        return Aftermath(state=FAILED, reason="poison", message=text, counts_as_lost=True)
    if loss.lost + 1 >= loss.max_attempts:
        text = f"its worker was lost {loss.lost + 1} times"
        return Aftermath(state=FAILED, reason="lost", message=text, counts_as_lost=True)
    return _again(loss, counts=True, delay=min(LONGEST_DELAY, 2.0**loss.lost))


def after_release(loss: Loss) -> Aftermath:
    """What becomes of a trial whose worker gave it back."""
    return _stopping(loss) or _again(loss, counts=False, delay=0.0)


def _stopping(loss: Loss) -> Aftermath | None:
    """A trial that was to stop is never run again, nor is one whose study has ended."""
    if loss.request == "stop":
        return Aftermath(state=STOPPED, reason="asked to stop")
    if loss.study_state in {"stopped", "completed", "deleted"}:
        return Aftermath(state=STOPPED, reason=f"its study is {loss.study_state}")
    return None


def _again(loss: Loss, *, counts: bool, delay: float) -> Aftermath:
    if loss.attempt >= MAX_ATTEMPTS:
        text = f"it was begun {loss.attempt} times and never ended"
        return Aftermath(state=FAILED, reason="lost", message=text, counts_as_lost=counts)
    return Aftermath(state=QUEUED, counts_as_lost=counts, delay=delay)
