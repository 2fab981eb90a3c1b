"""Processor seconds per suggestion by the number of finished trials, on one thread.

Every solver is handed the same history (random configs of one task, and their values), asked for
one config that is not counted, so that a compilation or a first fit of the size is over, and then
for CYCLES more, each told before the next is asked for.  Counted is what the solver's process used
in these cycles; imports are over.  Through the service it is what the suggester and its children
used, suggestions that it computed ahead and nobody took included.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache as memoised
from pathlib import Path

import numpy as np

from bench.search.cache import FOLDER
from bench.search.play import noise_seed
from bench.search.reference import space_of
from bench.search.runner import open_session
from bench.search.session import Session
from bench.search.solvers import Arm
from bench.search.tasks.registry import task
from bench.search.tasks.task import Task
from search.encoding import Cube

COUNTS = (50, 100, 300)
CYCLES = 20
SEED = 20_261_122
TASKS = {
    "continuous": "continuous/f15-i90-d10",
    "mixed": "mixed/bbob-f15-i90-d10",
    "tabular": "tabular/hpolib-slice_localization-val_loss-r0",
    "training": "training/mlp-wine-s90",
    "noisy": "noisy/f15-i90-d10-n30",
}


class CpuCache:
    """Measurements on disk, by solver, version, task and count."""

    def __init__(self, path: Path = FOLDER / "cpu.json") -> None:
        self._path = path
        self._known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, arm: Arm, group: str, count: int) -> float | None:
        """The seconds per suggestion, if they were measured."""
        return self._known.get(_key(arm, group, count))

    def add(self, arm: Arm, group: str, count: int, seconds: float) -> None:
        """Remember a measurement, on disk too."""
        self._known[_key(arm, group, count)] = seconds
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._known, indent=1, sort_keys=True))

    def of(self, arm: Arm, group: str, counts: Sequence[int]) -> dict[str, float]:
        """Count to seconds, of what was measured; some groups have no task to measure it on."""
        if group not in TASKS:
            return {}
        found = {count: self.get(arm, group, count) for count in counts}
        return {str(count): round(value, 5) for count, value in found.items() if value is not None}


def measure(
    arm: Arm,
    groups: Sequence[str],
    cache: CpuCache,
    *,
    counts: Sequence[int] = COUNTS,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Measure what is not known yet."""
    todo = [(g, n) for g in groups for n in counts if cache.get(arm, g, n) is None]
    if not todo:
        return
    with open_session(arm, environment or {}) as session:
        for group, count in todo:
            cache.add(arm, group, count, seconds(session, task(TASKS[group]), count))


def seconds(session: Session, chosen: Task, count: int) -> float:
    """Processor seconds per suggestion after `count` trials."""
    assert chosen.load is not None
    evaluate = chosen.load()
    session.start(chosen.space, seed=SEED, budget=count + CYCLES + 1)
    session.replay(history(chosen.name)[:count])
    before = 0.0
    for cycle in range(CYCLES + 1):
        number, config = session.ask()
        session.tell(number, evaluate(config, noise_seed(SEED, cycle)).told)
        if cycle == 0:
            before = session.cpu
    return (session.cpu - before) / CYCLES


@memoised
def history(name: str) -> list[tuple[dict[str, object], tuple[float, ...]]]:
    """As many random trials of a task as the largest count needs; the same for every solver."""
    chosen = task(name)
    assert chosen.load is not None
    evaluate, cube = chosen.load(), Cube(space_of(chosen))
    configs = map(cube.decode, np.random.default_rng(SEED).random((max(COUNTS), cube.width)))
    return [
        (config, evaluate(config, noise_seed(SEED, k)).told) for k, config in enumerate(configs)
    ]


def _key(arm: Arm, group: str, count: int) -> str:
    return " | ".join((arm.name, arm.version, TASKS[group], str(count)))
