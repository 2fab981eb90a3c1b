"""Waking asks when suggestions have come: one LISTEN for a whole process, polling behind it."""

import asyncio

from service.suggester.listen import listen

CHANNEL = "ready"
POLL_SECONDS = 1.0  # an ask looks again after this long, whether it was woken or not


class Ready:
    """Lets any number of asks wait until a batch of their study is there."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[asyncio.Future[None]]] = {}

    def soon(self, study_id: int) -> asyncio.Future[None]:
        """A future that is done at the study's next batch; give it back with `forget`.

        Take it before looking whether a batch is there: one that comes in between is not missed.
        """
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(study_id, set()).add(woken)
        return woken

    def forget(self, study_id: int, woken: asyncio.Future[None]) -> None:
        """Wait no more."""
        waiting = self._waiting.get(study_id)
        if waiting is not None:
            waiting.discard(woken)
            if not waiting:
                del self._waiting[study_id]

    def wake(self, study_id: int) -> None:
        """Wake every ask that waits for the study."""
        for woken in self._waiting.get(study_id, ()):
            if not woken.done():
                woken.set_result(None)

    async def listen(self, conninfo: str) -> None:
        """Wake asks whenever a batch is committed anywhere, until cancelled."""
        await listen(conninfo, CHANNEL, self._heard)

    def _heard(self, payload: str | None) -> None:
        if payload is None:
            for study_id in tuple(self._waiting):
                self.wake(study_id)
        elif payload.isdecimal():
            self.wake(int(payload))
