"""Workers that ask the real service for trials of Hartmann's function at a steady pace."""

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import trimtab as tt

from bench.parts.functions import METRIC, NAMES, hartmann
from bench.parts.server import Service


@dataclass(frozen=True)
class Shift:
    """What one worker does: ask, hold the trial, tell, ask again at once."""

    url: str
    key: str
    study: str
    hold: float  # seconds that a trial takes
    seconds: float  # how long the shift is; it may end earlier, with the study
    delay: float  # before the first ask, so that workers do not walk in step


@dataclass(frozen=True)
class Ask:
    """How long the worker waited for the answer, and when it asked, counted from its first ask."""

    number: int  # of the trial
    at: float
    seconds: float


def make_study(
    service: Service,
    name: str,
    *,
    searcher: dict[str, object],
    seed: int,
    trials: int | None = None,
) -> str:
    """A study of Hartmann's function; returns its id."""
    with tt.Client(url=service.url, key=service.key) as client:
        study = client.create_study(
            name,
            space=[tt.Float(name, 0.0, 1.0) for name in NAMES],
            minimize=METRIC,
            searcher=searcher,
            scheduler="full",
            seed=seed,
            budget=tt.Budget(trials=trials),
        )
        return study.id


def fill(service: Service, study: str, configs: Sequence[dict[str, float]]) -> None:
    """Import finished trials of these configs."""
    with tt.Client(url=service.url, key=service.key) as client:
        client.study(study).import_trials(
            [{"config": config, "values": {METRIC: hartmann(config)}} for config in configs]
        )


class Workers:
    """Worker processes that live through the whole benchmark."""

    def __init__(self, count: int) -> None:
        self.count = count
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, mp_context=spawn)

    def run(self, service: Service, study: str, *, hold: float, seconds: float) -> list[list[Ask]]:
        """All workers at once on one study; the asks of each."""
        shifts = [
            Shift(service.url, service.key, study, hold, seconds, hold * index / self.count)
            for index in range(self.count)
        ]
        return list(self._pool.map(work, shifts))

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()


def work(shift: Shift) -> list[Ask]:
    """Run one shift."""
    asks: list[Ask] = []
    with tt.Client(url=shift.url, key=shift.key) as client:
        study = client.study(shift.study)
        time.sleep(shift.delay)
        first = time.perf_counter()
        while (began := time.perf_counter()) - first < shift.seconds:
            try:
                trial = study.ask()
            except tt.StudyEnded:
                break
            asks.append(Ask(trial.number, began - first, time.perf_counter() - began))
            time.sleep(max(0.0, shift.hold - (time.perf_counter() - began)))
            trial.complete({METRIC: hartmann(trial.config)})
    return asks
