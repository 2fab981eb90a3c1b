"""`for trial in study.trials()`: ask, hand over, end, and again."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from trimtab import _aftermath, _outcomes
from trimtab._asking import Asking
from trimtab.errors import Infeasible
from trimtab.trial import Trial


class TrialLoop(Iterator[Trial]):
    """Trials one after another, until the study has ended.

    Going on to the next trial ends the one before (see Study.trials).  Leaving the loop drops this
    object, which then ends the trial whose body was left.
    """

    def __init__(self, asking: Asking, cancel: threading.Event | None = None) -> None:
        self._asking = asking
        self._cancel = cancel
        self._trial: Trial | None = None
        self._frame: FrameType | None = None
        self._infeasible: Infeasible | None = None

    def __next__(self) -> Trial:
        trial, self._trial, self._frame = self._trial, None, None
        if trial is not None:
            _outcomes.conclude(trial, None)
        self._trial = self._asking.next(self._cancel)
        if self._trial is None:
            raise StopIteration
        self._frame = sys._getframe(1)
        self._infeasible = Infeasible.latest()
        return self._trial

    def close(self) -> None:
        """End the trial that is in hand, as its body was left."""
        trial, frame, self._trial, self._frame = self._trial, self._frame, None, None
        if trial is not None and frame is not None and trial.open:
            _aftermath.settle(trial, frame, self._infeasible)

    def __del__(self) -> None:
        # At the end of the process, modules may be gone already; the registry has done the rest.
        with contextlib.suppress(ImportError, AttributeError):
            self.close()
