"""Finding a task by its name, and the lists of names that stand in git."""

import json
from functools import cache
from pathlib import Path

from bench.search.tasks import bbob, curves, fronts, mixint, models, tables, training
from bench.search.tasks.task import Task

FAMILIES = (bbob, mixint, models, tables, training, fronts, curves)
LISTS = Path(__file__).resolve().parents[1] / "lists"
NAMES = ("choose", "check", "report", "costly")
LARGE = ("continuous", "mixed", "tabular", "training", "noisy")
SMALL = ("objectives", "stopping", "wide", "parallel")
GROUPS = (*LARGE, *SMALL)


@cache
def task(name: str) -> Task:
    """The task of that name; raises LookupError."""
    for family in FAMILIES:
        found = family.task(name)
        if found is not None:
            return found
    raise LookupError(f"no task is called {name!r}")


def read_list(name: str) -> list[Task]:
    """The tasks of a list, in its order; raises LookupError for a list that there is not."""
    if name not in NAMES:
        raise LookupError(f"no list is called {name!r}; there are {', '.join(NAMES)}")
    return [task(each) for each in json.loads((LISTS / f"{name}.json").read_text())]


def thin(tasks: list[Task], per_group: int) -> list[Task]:
    """At most so many tasks of each group, spread evenly over its part of the list."""
    kept: list[Task] = []
    for group in GROUPS:
        mine = [each for each in tasks if each.group == group]
        count = min(per_group, len(mine))
        kept.extend(mine[(2 * k + 1) * len(mine) // (2 * count)] for k in range(count))
    return kept
