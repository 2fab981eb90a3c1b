"""Running many studies in a few processes, each solver in a process of its own.

Every finished study goes into the cache at once: a run that is cut off, or ended by `minutes`, goes
on where it stood.  A worker keeps the solver it drives from study to study.
"""

import atexit
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bench.search.cache import Cache, key
from bench.search.play import Result, play
from bench.search.session import Session, SolverFailed
from bench.search.solvers import Arm
from bench.search.tasks.registry import task
from bench.search.tasks.task import Task


@dataclass(frozen=True)
class Job:
    """One study to run."""

    arm: Arm
    task: str
    seed: int
    environment: tuple[tuple[str, str], ...] = ()  # where the service is, for arms that need it


@dataclass
class Ran:
    """What a run left undone."""

    failures: list[dict[str, str]] = field(default_factory=list)
    open: int = 0


def jobs(
    arms: Sequence[Arm],
    tasks: Sequence[Task],
    seeds: Sequence[int],
    cache: Cache,
    environment: Mapping[str, str] | None = None,
) -> list[Job]:
    """The studies that are not known yet, solver by solver, seed by seed."""
    return [
        Job(arm, each.name, seed, tuple((environment or {}).items()))
        for arm in arms
        for seed in seeds
        for each in tasks
        if arm.takes(each.objectives) and cache.get(key(arm, each, seed)) is None
    ]


def run(
    todo: Sequence[Job], cache: Cache, *, processes: int, minutes: float | None, label: str
) -> Ran:
    """Run the jobs, in order; stop to begin new ones after `minutes`."""
    ran = Ran(open=len(todo))
    if not todo:
        return ran
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    with _progress() as progress, _pool(min(processes, len(todo))) as pool:
        bar = progress.add_task(label, total=len(todo))
        for job, future in _as_they_end(pool, todo, processes, deadline):
            _take(job, future, cache, ran)
            progress.update(bar, advance=1, description=f"{label}: {job.arm.name}")
    return ran


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes; when the run is broken off, they end with the study in hand."""
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=spawn)
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _as_they_end(
    pool: ProcessPoolExecutor, todo: Sequence[Job], processes: int, deadline: float | None
) -> Iterator[tuple[Job, Future[Result]]]:
    waiting = list(reversed(todo))
    running: dict[Future[Result], Job] = {}
    while waiting or running:
        late = deadline is not None and time.monotonic() > deadline
        while waiting and len(running) < processes and not late:
            job = waiting.pop()
            running[pool.submit(work, job)] = job
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future


def _take(job: Job, future: "Future[Result]", cache: Cache, ran: Ran) -> None:
    try:
        cache.add(key(job.arm, task(job.task), job.seed), future.result())
    except SolverFailed as error:
        last = str(error).strip().splitlines()[-1]
        ran.failures.append({"solver": job.arm.name, "task": job.task, "error": last[:300]})
    else:
        ran.open -= 1


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


_OPEN: dict[Arm, Session] = {}


def work(job: Job) -> Result:
    """Run one study, in a worker process."""
    session = _session(job)
    try:
        return play(task(job.task), session, job.seed)
    except SolverFailed:
        _close_all()  # what state it is in, nobody knows
        raise


def open_session(arm: Arm, environment: Mapping[str, str]) -> Session:
    """Start an arm's process and have it load what it needs."""
    session = Session(arm.command, {**dict(arm.environment), **environment})
    try:
        session.warm_up()
    except BaseException:
        session.close()
        raise
    return session


def _session(job: Job) -> Session:
    if job.arm not in _OPEN:
        _close_all()  # one at a time: some take a gigabyte
        _OPEN[job.arm] = open_session(job.arm, dict(job.environment))
    return _OPEN[job.arm]


@atexit.register
def _close_all() -> None:
    while _OPEN:
        _OPEN.popitem()[1].close()
