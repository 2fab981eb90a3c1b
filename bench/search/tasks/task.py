"""What a task of the search benchmark is.

A task's name says everything: `group/family-…`, with the instance, the split or the seed that tells
the three lists apart.  Its space needs no package that `make test` does not install; what it takes
to evaluate configs is imported by `load`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Config: TypeAlias = Mapping[str, Any]
Wire: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """The outcome of one evaluation: what the solver is told, and what it is scored on."""

    told: tuple[float, ...]
    true: tuple[float, ...]

    @classmethod
    def exactly(cls, *values: float) -> "Seen":
        """An outcome without noise."""
        return cls(values, values)


Evaluate: TypeAlias = Callable[[Config, int], Seen]  # the second is the seed of the noise
Curve: TypeAlias = Callable[[Config], Iterator[float]]  # the value after each step


@dataclass(frozen=True, kw_only=True)
class Task:
    """One problem to minimise.

    `budget` counts trials or, where trials report `steps`, the steps of all trials together.
    `reference` is the point that bounds the hypervolume (several objectives only).
    """

    name: str
    space: Sequence[Wire]
    load: Callable[[], Evaluate] | None = None
    load_curve: Callable[[], Curve] | None = None
    budget: int = 50
    parallel: int = 1
    objectives: int = 1
    reference: tuple[float, ...] = ()
    steps: int | None = None
    revision: int = 1
    known_best: Callable[[], float] | None = field(default=None, compare=False)
    draws: int = 20_000  # for random's median
    search: int = 20_000  # evaluations of the long run that looks for the best

    @property
    def group(self) -> str:
        """The first part of the name."""
        return self.name.split("/", 1)[0]

    @property
    def digest(self) -> str:
        """Changes with everything about the task that a stored score depends on."""
        parts = [
            self.name,
            list(self.space),
            self.parallel,
            self.objectives,
            self.reference,
            self.steps,
            self.revision,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    @property
    def trials(self) -> int:
        """How many full trials the budget pays for."""
        return self.budget if self.steps is None else self.budget // self.steps


def real(name: str, low: float, high: float, **more: Any) -> Wire:
    """A float parameter, as it travels."""
    return {"kind": "float", "name": name, "low": low, "high": high, **more}


def whole(name: str, low: int, high: int, **more: Any) -> Wire:
    """An int parameter, as it travels."""
    return {"kind": "int", "name": name, "low": low, "high": high, **more}


def choice(name: str, *choices: Any, **more: Any) -> Wire:
    """A choice parameter, as it travels."""
    return {"kind": "choice", "name": name, "choices": list(choices), **more}


def when(parent: str, *allowed: Any) -> list[Wire]:
    """The condition that the parent has one of the values."""
    return [{"parameter": parent, "in": list(allowed)}]
