"""What values are worth: 0 is what random search comes to with the same budget, 1 the best known.

The values that this needs are frozen in git (references/*.json), each with how it was found; see
reference.py, which found them.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.search.tasks.task import Task

FOLDER = Path(__file__).resolve().parent / "references"


@dataclass(frozen=True)
class Reference:
    """The two values that a task's scores are measured by."""

    random_median: float
    best_known: float

    def score(self, value: float) -> float:
        """(random_median - value) / (random_median - best_known)."""
        return (self.random_median - value) / (self.random_median - self.best_known)


class NoReference(LookupError):
    """A task has no reference values, or they belong to another budget or definition of it."""


def reference(task: Task) -> Reference:
    """The task's reference values; raises NoReference."""
    found = read(task.group).get(task.name)
    if found is None:
        raise NoReference(f"{task.name} has no reference values: run the command `reference`")
    budget = str(task.budget)
    if found["digest"] != task.digest or budget not in found["random_median"]:
        raise NoReference(f"{task.name} has changed since its reference values were found")
    return Reference(found["random_median"][budget], found["best_known"])


@cache
def read(group: str) -> Mapping[str, Any]:
    """All entries of a group."""
    path = FOLDER / f"{group}.json"
    found: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write(group: str, entries: Mapping[str, Any]) -> None:
    """Replace the entries of a group, a line each."""
    FOLDER.mkdir(exist_ok=True)
    lines = [f"  {json.dumps(name)}: {json.dumps(entries[name])}" for name in sorted(entries)]
    unfinished = FOLDER / f".{group}.{os.getpid()}"
    unfinished.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    unfinished.replace(FOLDER / f"{group}.json")
    read.cache_clear()
