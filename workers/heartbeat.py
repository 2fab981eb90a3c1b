"""An agent's hold on a trial: renewed in a thread of its own for as long as the attempt lasts."""

import logging
import threading
from collections.abc import Callable

from trimtab._retry import Retry
from trimtab._transport import Cancelled
from trimtab.errors import LeaseLost, NotFound, TrimtabError
from trimtab.lease import Lease
from trimtab.models import Beaten

from workers.events import Event, Lost, Requested

log = logging.getLogger(__name__)

# A heartbeat that fails is soon followed by the next one.
_RETRY = Retry(patience=3.0, cap=1.0)
_LEAST_SECONDS = 0.1


class Heartbeat:
    """Renews a lease and says what the answers bring: `Lost` once, each request once.

    Only the server's word ends a lease.  While it cannot be reached the attempt goes on: it may be
    the server that is down, and then nobody else can have taken the trial.
    """

    def __init__(self, lease: Lease, *, beat_most: float, say: Callable[[Event], None]) -> None:
        self._lease = lease
        self._beat_most = beat_most
        self._say = say
        self._asked: str | None = None
        self._speaking = threading.Lock()
        self._over = threading.Event()
        threading.Thread(target=self._renew, name="lease", daemon=True).start()

    def end(self) -> None:
        """Stop renewing, and say nothing more; an answer may still be under way."""
        with self._speaking:
            self._over.set()

    def _renew(self) -> None:
        while not self._over.wait(self._pause()):
            try:
                answer = self._lease.heartbeat(self._over, _RETRY)
            except (LeaseLost, NotFound):
                self._speak(Lost())
                return
            except Cancelled:
                return
            except TrimtabError as error:
                log.warning("heartbeat of trial %s: %s", self._lease.asked.trial.number, error)
            else:
                self._read(answer)

    def _pause(self) -> float:
        return max(_LEAST_SECONDS, min(self._lease.lease_seconds / 3, self._beat_most))

    def _read(self, answer: Beaten) -> None:
        request = answer.request
        if request is None or request.kind == self._asked:
            return
        self._asked = request.kind
        match request.kind:
            case "stop":
                self._speak(Requested("stop", request.reason))
            case "release":
                self._speak(Requested("release", request.reason))

    def _speak(self, event: Event) -> None:
        with self._speaking:
            if not self._over.is_set():
                self._say(event)
