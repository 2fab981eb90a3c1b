"""What became of the body of `for trial in study.trials()`.

A `for` loop tells its iterator when it wants the next item, and nothing else.  When the body breaks
or raises, the iterator is dropped, and its finaliser runs while the exception is in flight, where
`sys.exc_info()` does not show it.  What can be seen (CPython) is the frame of the loop: a traceback
that refers to it exists only while an exception passes through.  From Python 3.12 on the exception
refers to the traceback at once; before, only once somebody has caught it, and one that C code
raised is not even made until then.  So Python 3.11 looks for the one exception that nobody refers
to, then again a little later, and at the end of the process.  `with trial:` needs none of this.
"""

import dis
import gc
import logging
import sys
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from trimtab import _outcomes
from trimtab._registry import OPEN
from trimtab._retry import Retry
from trimtab.errors import Infeasible, TrimtabError

if TYPE_CHECKING:
    from trimtab.trial import Trial

log = logging.getLogger("trimtab")
# Seconds between looks for an exception that nobody has caught yet.
LOOKS = (0.02, 0.1, 0.4, 1.5)
# What a frame is at when it lets go of the iterator by itself: break, return, del, rebinding.
_LETTING_GO = ("POP_", "END_FOR", "RETURN_", "DELETE_", "STORE_")


def settle(trial: "Trial", frame: FrameType, infeasible_before: Infeasible | None) -> None:
    """End the trial whose loop body was left in some other way than by going on.

    Never raises for an error of the server: the lease runs out by itself.
    """
    passing = in_flight(frame)
    if passing is None:
        conclude(trial, GeneratorExit())
        return
    made = Infeasible.latest()
    infeasible = made if made is not infeasible_before else None
    error = infeasible or trial.interruption or exception_of(passing) or uncaught()
    if error is None:
        Undecided(trial, passing).start()
    else:
        conclude(trial, error.with_traceback(error.__traceback__ or passing))


def conclude(trial: "Trial", error: BaseException | None) -> None:
    """End the trial; what goes wrong in doing so is logged."""
    try:
        _outcomes.conclude(trial, error)
    except TrimtabError as failure:
        log.warning("trial %d could not be ended: %s", trial.number, failure)


def in_flight(frame: FrameType) -> TracebackType | None:
    """The traceback of the exception that is passing through the frame, None if there is none."""
    found = [
        reference
        for reference in gc.get_referrers(frame)
        if isinstance(reference, TracebackType) and reference.tb_frame is frame
    ]
    for traceback in found:
        if traceback.tb_lasti == frame.f_lasti:
            return traceback
    # An exception that went through a `finally` is raised again from another place in the frame.
    at = dis.opname[frame.f_code.co_code[frame.f_lasti]]
    return found[-1] if found and not at.startswith(_LETTING_GO) else None


def exception_of(traceback: TracebackType) -> BaseException | None:
    """The exception whose traceback this is, or is a part of; None while nobody has caught it."""
    for reference in gc.get_referrers(traceback):
        if isinstance(reference, BaseException) and _is_part(traceback, reference):
            return reference
        if isinstance(reference, TracebackType) and reference.tb_next is traceback:
            found = exception_of(reference)
            if found is not None:
                return found
    return None


def uncaught() -> BaseException | None:
    """The exception that was raised and not caught yet, where Python 3.11 lets it be found.

    It is the only one without a traceback that nothing refers to; None when there are more, or
    when C code raised it.
    """
    if sys.version_info >= (3, 12):
        return None
    found: list[BaseException] = [
        thing
        for thing in gc.get_objects()
        if issubclass(type(thing), BaseException) and thing.__traceback__ is None
    ]
    alone = [error for error in found if _unreferenced(error, found)]
    return alone[0] if len(alone) == 1 else None


class Undecided:
    """A trial whose end is known only when somebody catches the exception that ended it."""

    def __init__(self, trial: "Trial", traceback: TracebackType) -> None:
        self._trial = trial
        self._traceback = traceback
        self._over = threading.Event()
        self._once = threading.Lock()

    def start(self) -> None:
        """Look for the exception in the background; it has two seconds, or until the exit."""
        OPEN.discard(self._trial)
        OPEN.add(self)
        threading.Thread(target=self._look, name="trimtab-aftermath", daemon=True).start()

    def abandon(self, retry: Retry) -> None:
        """The process ends: what Python printed is the exception; else it was told to exit."""
        uncaught = getattr(sys, "last_value", None)
        found = uncaught if uncaught and _is_part(self._traceback, uncaught) else None
        self._end(found or exception_of(self._traceback) or SystemExit())

    def _look(self) -> None:
        error: BaseException | None = None
        for seconds in LOOKS:
            if self._over.wait(seconds):
                return
            error = exception_of(self._traceback)
            if error is not None:
                break
        # One that was caught and forgotten is gone; where it came from is still known.
        lost = Forgotten("the program has caught it").with_traceback(self._traceback)
        self._end(error or lost)

    def _end(self, error: BaseException) -> None:
        with self._once:
            if self._over.is_set():
                return
            self._over.set()
            OPEN.discard(self)
        conclude(self._trial, error)


class Forgotten(Exception):
    """Stands for an exception that was caught and dropped before anybody could look at it."""


def _unreferenced(error: BaseException, known: list[BaseException]) -> bool:
    own = (id(known), id(sys._getframe()), id(sys._getframe(1)), id(sys._getframe(2)))
    return all(id(reference) in own for reference in gc.get_referrers(error))


def _is_part(traceback: TracebackType, error: BaseException) -> bool:
    at = error.__traceback__
    while at is not None:
        if at is traceback:
            return True
        at = at.tb_next
    return False
