"""Results on disk, a line of JSON each, so that a run goes on where another was cut off.

One file for each solver and version; a line is known by its task (with a digest of what the task
is), its seed and its budget.  Files in a second folder, which stands in git, are only read: what
the costly rivals once took hours for need not be run again on another machine.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.parts.machine import ROOT
from bench.search.play import Result
from bench.search.solvers import Arm
from bench.search.tasks.task import Task

FOLDER = ROOT / "bench" / ".cache" / "search"
KEPT = Path(__file__).resolve().parent / "kept"


@dataclass(frozen=True)
class Key:
    """What a result belongs to."""

    solver: str
    version: str
    task: str
    digest: str
    seed: int
    budget: int


def key(arm: Arm, task: Task, seed: int) -> Key:
    """The key of a study."""
    return Key(arm.name, arm.version, task.name, task.digest, seed, task.budget)


class Cache:
    """All results known."""

    def __init__(self, folder: Path = FOLDER, kept: Path = KEPT) -> None:
        self._folder = folder
        self._known: dict[Key, Result] = {}
        for source in (kept, folder):
            for path in sorted(source.glob("*.jsonl")):
                self._known.update(_read(path))

    def get(self, key: Key) -> Result | None:
        """The result, if it is known."""
        return self._known.get(key)

    def add(self, key: Key, result: Result) -> None:
        """Remember a result, on disk first."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / file_name(key.solver, key.version)).open("a") as file:
            file.write(line(key, result))
        self._known[key] = result

    def items(self) -> Iterator[tuple[Key, Result]]:
        """Everything known."""
        return iter(self._known.items())


def keep(cache: Cache, solver: str, folder: Path = KEPT) -> int:
    """Write all that is known of a solver into the folder in git; returns how many lines."""
    found = [(key, result) for key, result in cache.items() if key.solver == solver]
    by_file: dict[str, list[str]] = {}
    for key, result in found:
        by_file.setdefault(file_name(key.solver, key.version), []).append(line(key, result))
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in by_file.items():
        (folder / name).write_text("".join(sorted(lines)))
    return len(found)


def file_name(solver: str, version: str) -> str:
    """A name that a file may have."""
    return re.sub(r"[^\w.-]+", "_", f"{solver}--{version}") + ".jsonl"


def line(key: Key, result: Result) -> str:
    """One result as a line."""
    return json.dumps({**asdict(key), **asdict(result)}) + "\n"


def _read(path: Path) -> Iterator[tuple[Key, Result]]:
    for text in path.read_text().splitlines():
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            continue  # the last line of a run that was killed
        names = Key.__dataclass_fields__
        yield (
            Key(**{name: found.pop(name) for name in names}),
            Result(**found),
        )
