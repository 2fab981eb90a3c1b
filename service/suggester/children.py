"""The processes that compute batches, in two lanes.

Batches that need no model take milliseconds; they have a process of their own, so that no model's
fit stands before them.  Fits share a few more.  A process that takes too long is killed; the next
one is begun when it is needed.
"""

import asyncio
import os
import pickle
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from service.suggester.task import LENGTH, Answer, Fit, Inquiry, WarmUp, read_answer

REMEMBERED_STUDIES = 100  # in a child
LOADING_SECONDS = 120.0  # for torch and all, on a busy machine with a cold disk
EXPLAINING = ("search.explain.explain", "search.explain.posterior_best")
PREFERRING = ("search.explain.preferred",)
LINGER_SECONDS = 2.0  # between the end of its pipes and that of the process
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# glibc gives every array beyond 128 KiB back to the system and asks for it again, zeroed page by
# page: a sixth of what a suggestion of `gp` costs.  Other systems do not read these.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}


class ChildDied(Exception):
    """The process ended in the middle of a batch."""


class TookTooLong(Exception):
    """The process was killed because its batch took too long."""


@dataclass(eq=False)
class Child:
    """A running process, and what it knows."""

    process: asyncio.subprocess.Process
    versions: dict[int, int] = field(default_factory=dict)  # of the studies that it remembers
    loaded: set[str] = field(default_factory=set)

    @classmethod
    async def start(cls) -> "Child":
        """Start a process; it loads what is heavy when it first needs it."""
        environment = KEEP_MEMORY | dict(os.environ) | dict.fromkeys(ONE_THREAD, "1")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "service.suggester.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.returncode is None

    async def warm_up(self, modules: Sequence[str]) -> None:
        """Load what batches need; raises ChildDied, TookTooLong."""
        if missing := [name for name in modules if name not in self.loaded]:
            await self._ask(WarmUp(missing), LOADING_SECONDS)
            self.loaded.update(missing)

    async def fit(self, task: Fit, seconds: float) -> Answer:
        """Compute a batch; raises ChildDied, and TookTooLong after as many seconds."""
        await self.warm_up(task.modules)
        answer = await self._ask(task, seconds)
        for study_id in task.forget:
            self.versions.pop(study_id, None)
        self.versions.pop(task.study_id, None)
        self.versions[task.study_id] = task.version  # the latest stands last
        return answer

    async def inquire(self, task: Inquiry, seconds: float) -> Answer:
        """Work out an insight; raises as `fit` does."""
        await self.warm_up(EXPLAINING + PREFERRING * task.problem.by_preference)
        return await self._ask(task, seconds)

    def to_forget(self, study_id: int) -> list[int]:
        """The studies that must make room for this one."""
        others = [known for known in self.versions if known != study_id]
        return others[: max(0, len(others) + 1 - REMEMBERED_STUDIES)]

    async def kill(self) -> None:
        """End the process, whatever it does."""
        if self.alive:
            self.process.kill()
        await self.process.wait()

    async def _ask(self, task: Fit | Inquiry | WarmUp, seconds: float) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(pickle.dumps(task))
        except TimeoutError:
            await self.kill()
            raise TookTooLong(f"took more than {seconds:g} s") from None
        except (OSError, asyncio.IncompleteReadError):
            await self._gone()
            raise ChildDied(f"died with exit code {self.process.returncode}") from None
        except asyncio.CancelledError:
            await self.kill()  # what it would answer belongs to nobody
            raise

    async def _gone(self) -> None:
        """Wait for a process that has closed its pipes; one that lingers is killed.

        A kill at once could take the exit code away from asyncio, which then reports 255.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self.process.wait()
        await self.kill()

    async def _exchange(self, body: bytes) -> Answer:
        source, sink = self.process.stdout, self.process.stdin
        assert source is not None
        assert sink is not None
        sink.write(LENGTH.pack(len(body)) + body)
        await sink.drain()
        (length,) = LENGTH.unpack(await source.readexactly(LENGTH.size))
        return read_answer(await source.readexactly(length))


class Lane:
    """Up to `most` processes, each serving one batch at a time.

    One more is started while all are busy.  It may have to load a model's libraries, which takes
    seconds, so that whoever waits gets the first process that is free, new or not.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._starting: asyncio.Task[Child] | None = None
        self._freed: asyncio.Future[None] | None = None  # done when the next process is given back

    @asynccontextmanager
    async def child(self, study_id: int, *, modules: Sequence[str] = ()) -> AsyncIterator[Child]:
        """A process for one batch, if possible one that knows the study; waits for a free one.

        One that is started for this loads what is needed first.  Raises OSError if none can be.
        """
        found = await self._take(study_id, modules)
        self._busy.add(found)
        try:
            yield found
        finally:
            self._busy.discard(found)
            if found.alive:
                self._idle.append(found)
            if self._freed is not None:
                self._freed.set_result(None)
                self._freed = None

    async def warm_up(self, modules: Sequence[str]) -> None:
        """Have one process that has loaded what its batches need."""
        with suppress(ChildDied, TookTooLong):
            async with self.child(0, modules=modules) as child:
                await child.warm_up(modules)

    async def close(self) -> None:
        """End all processes."""
        if self._starting is not None:
            self._starting.cancel()
            (started,) = await asyncio.gather(self._starting, return_exceptions=True)
            if isinstance(started, Child):
                self._idle.append(started)
        for child in (*self._idle, *self._busy):
            await child.kill()
        self._idle.clear()

    async def _take(self, study_id: int, modules: Sequence[str]) -> Child:
        while True:
            started = self._started()
            if started is not None:
                if not started.alive:
                    return started  # whoever uses it learns why
                self._idle.append(started)
            found = self._pick(study_id, modules)
            if found is not None:
                return found
            if self._starting is None and len(self._busy) < self._most:
                self._starting = asyncio.create_task(_start(modules))
            await self._change()

    def _started(self) -> Child | None:
        """The process that was being started, once it is there."""
        if self._starting is None or not self._starting.done():
            return None
        done, self._starting = self._starting, None
        return done.result()

    async def _change(self) -> None:
        """Wait until a process is given back, or has started."""
        if self._freed is None:
            self._freed = asyncio.get_running_loop().create_future()
        awaited: list[asyncio.Future[Any]] = [self._freed]
        if self._starting is not None:
            awaited.append(self._starting)
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)

    def _pick(self, study_id: int, modules: Sequence[str]) -> Child | None:
        self._idle = [child for child in self._idle if child.alive]
        if not self._idle:
            return None
        ready = [child for child in self._idle if child.loaded.issuperset(modules)] or self._idle
        knowing = [child for child in ready if study_id in child.versions]
        best = knowing[0] if knowing else ready[-1]
        self._idle.remove(best)
        return best


async def _start(modules: Sequence[str]) -> Child:
    """A process that has loaded what it needs; or a dead one, if it died of that."""
    child = await Child.start()
    try:
        with suppress(ChildDied, TookTooLong):
            await child.warm_up(modules)
    except BaseException:
        await child.kill()
        raise
    return child
