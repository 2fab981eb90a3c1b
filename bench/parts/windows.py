"""Client processes that run trials for a window of time, all starting together.

A window: every client opens the study and runs one whole trial that is not counted (connections,
imports, and what Optuna reads of the study at first).  When all are ready, all are told to go; each
runs trial after trial until the window's seconds are over, and finishes the trial in hand.  The
rate is the sum over clients of its trials divided by its own seconds.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

JOIN_SECONDS = 30.0


@dataclass(frozen=True)
class Job:
    """One window: which study, how, and for how long."""

    address: dict[str, str]  # what this side needs to reach its study
    waited: bool
    seconds: float
    epoch: float  # see tuning.level_now


@dataclass
class Spent:
    """Seconds spent in each kind of call, and how many calls."""

    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, began: float) -> None:
        """Count a call that began at a reading of time.perf_counter."""
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
        self.calls[name] = self.calls.get(name, 0) + 1


@dataclass(frozen=True)
class Ran:
    """What one client did in a window."""

    trials: int
    seconds: float
    pruned: int
    spent: Spent


class Runner(Protocol):
    """One side's client, with a study open."""

    def trial(self, spent: Spent) -> bool:
        """Run one trial: ask, ten reports, tell.  True when a scheduler asked to stop it."""

    def close(self) -> None:
        """Let go of connections."""


Open = Callable[[Job], Runner]


class Clients:
    """Processes of one side that live through the whole benchmark."""

    def __init__(self, opener: Open, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(count):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(opener, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, job: Job) -> list[Ran]:
        """Run one window in every client; raises RuntimeError with a client's traceback."""
        self._tell(job)
        self._answers()  # ready
        self._tell(None)
        return self._answers()

    def _tell(self, message: Job | None) -> None:
        for pipe in self._pipes:
            pipe.send(message)

    def _answers(self) -> list[Any]:
        answers = [pipe.recv() for pipe in self._pipes]
        for answer in answers:
            if isinstance(answer, str):
                raise RuntimeError(f"a client failed:\n{answer}")
        return answers

    def close(self) -> None:
        """End the processes: a closed pipe is the end of their work."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(JOIN_SECONDS)
            if process.is_alive():
                process.kill()


@contextmanager
def clients(opener: Open, count: int) -> Iterator[Clients]:
    """`count` client processes of one side."""
    running = Clients(opener, count)
    try:
        yield running
    finally:
        running.close()


def rate(ran: Sequence[Ran]) -> float:
    """Trials per second of all clients together."""
    return sum(client.trials / client.seconds for client in ran)


def call_milliseconds(ran: Sequence[Ran]) -> dict[str, float]:
    """Mean milliseconds of each kind of call, as the client waits for it."""
    names = sorted({name for client in ran for name in client.spent.calls})
    return {
        name: round(
            1000
            * sum(client.spent.seconds.get(name, 0.0) for client in ran)
            / sum(client.spent.calls.get(name, 0) for client in ran),
            3,
        )
        for name in names
    }


def _serve(opener: Open, pipe: Connection) -> None:
    """Run windows until the other end closes."""
    import traceback

    with suppress(EOFError):
        while True:
            job = pipe.recv()
            try:
                pipe.send(_window(opener, job, pipe))
            except Exception:
                pipe.send(traceback.format_exc())


def _window(opener: Open, job: Job, pipe: Connection) -> Ran:
    runner = opener(job)
    try:
        runner.trial(Spent())
        pipe.send(None)  # ready
        pipe.recv()  # go
        return _run(runner, job.seconds)
    finally:
        runner.close()


def _run(runner: Runner, seconds: float) -> Ran:
    spent, trials, pruned = Spent(), 0, 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        pruned += runner.trial(spent)
        trials += 1
    return Ran(trials=trials, seconds=time.perf_counter() - began, pruned=pruned, spent=spent)
