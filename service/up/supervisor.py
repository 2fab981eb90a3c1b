"""Keeps the parts of `trimtab up` running, and ends them in order."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from service.up.backoff import Backoff
from service.up.parts import Part

TICK = 0.2  # seconds
STOP_SECONDS = 10.0  # for each part; what is left of it is killed then
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody asked us to end while we were starting."""


@dataclass
class _Watched:
    part: Part
    wanted: Callable[[], bool]
    started: bool = False
    down: bool = False
    backoff: Backoff = field(default_factory=Backoff)


class Supervisor:
    """The parts in the order in which they start; they end in the opposite one."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._watched: list[_Watched] = []
        self._signals = 0

    def listen(self) -> None:
        """Take Ctrl-C and SIGTERM as the wish to end; a second one ends without patience."""
        for number in SIGNALS:
            signal.signal(number, self._hear)

    @property
    def asked_to_stop(self) -> bool:
        """Whether a signal has come."""
        return self._signals > 0

    def check(self) -> None:
        """Raise Interrupted once a signal has come."""
        if self.asked_to_stop:
            raise Interrupted

    def start(self, part: Part) -> None:
        """Start a part now and keep it running from here on; raises when it does not start."""
        self.check()
        watched = self._add(part, lambda: True)
        part.start()
        watched.backoff = watched.backoff.begun(time.monotonic())

    def start_when(self, wanted: Callable[[], bool], part: Part) -> None:
        """Start a part as soon as it is wanted."""
        self._add(part, wanted, started=False)

    def run(self, chores: Sequence[Callable[[], object]] = ()) -> None:
        """Watch until a signal comes."""
        while not self.asked_to_stop:
            for watched in self._watched:
                self._look_after(watched)
            for chore in chores:
                chore()
            time.sleep(TICK)

    def stop(self) -> None:
        """End all parts, the last first, whatever state each is in."""
        for watched in reversed(self._watched):
            if watched.started:
                self._say(f"stopping {watched.part.name}")
                watched.part.stop(STOP_SECONDS if self._signals < 2 else 0.0)
        self._watched.clear()

    def _add(self, part: Part, wanted: Callable[[], bool], *, started: bool = True) -> _Watched:
        self._watched.append(_Watched(part, wanted, started))
        return self._watched[-1]

    def _look_after(self, watched: _Watched) -> None:
        now = time.monotonic()
        if not watched.started:
            if watched.wanted():
                watched.started = True
                self._restart(watched, now)
        elif watched.part.alive():
            watched.down = False
        elif not watched.down:
            self._note_end(watched, now, watched.part.ending())
        elif now >= watched.backoff.again:
            self._restart(watched, now)

    def _note_end(self, watched: _Watched, now: float, why: str) -> None:
        watched.down = True
        watched.backoff = watched.backoff.ended(now)
        wait = watched.backoff.again - now
        name, log = watched.part.name, watched.part.log
        self._say(f"{name} ended ({why}); starting it again in {wait:.1f} s. Its log: {log}")

    def _restart(self, watched: _Watched, now: float) -> None:
        try:
            watched.part.start()
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            self._note_end(watched, now, str(error))
        else:
            watched.down = False
            watched.backoff = watched.backoff.begun(now)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
