"""What a search that learns from earlier studies remembers: their models, and its other half's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.bayes.sources import Source, fit_sources
from search.gp.fit import Hyperparameters
from search.problem import Problem
from search.searcher import Memo
from search.values import JSON

VERSION = 101


@dataclass(frozen=True, slots=True)
class Remembered:
    """The hyperparameters of each earlier study's model, and the memo of the search without."""

    at: Sequence[Hyperparameters] = ()
    alone: Memo | None = None

    def fitted(self, problem: Problem, sources: Sequence[Source], evaluations: int) -> Remembered:
        """With the models fitted, unless they are."""
        return self if self.at else replace(self, at=fit_sources(problem, sources, evaluations))


def read(memo: Memo | None, sizes: Sequence[int]) -> Remembered:
    """What is in a memo, for sources with so many parameters; whatever is not ours is nothing."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return Remembered()
    found, alone = memo.data.get("earlier"), _memo(memo.data.get("alone"))
    at = [_hyperparameters(part) for part in found] if isinstance(found, list) else []
    sound = [part for part in at if part is not None]
    fits = [len(part.lengths) for part in sound] == list(sizes)
    return Remembered(sound if fits else (), alone)


def write(remembered: Remembered) -> Memo:
    """The memo that says so."""
    data: dict[str, JSON] = {
        "earlier": [[*part.lengths, part.noise] for part in remembered.at],
    }
    if remembered.alone is not None:
        data["alone"] = {"version": remembered.alone.version, "data": remembered.alone.data}
    return Memo(version=VERSION, data=data)


def _hyperparameters(data: JSON) -> Hyperparameters | None:
    if not isinstance(data, list) or len(data) < 2:
        return None
    numbers = [float(value) for value in data if isinstance(value, int | float)]
    if len(numbers) != len(data):
        return None
    at = Hyperparameters(lengths=tuple(numbers[:-1]), noise=numbers[-1])
    return at if at.sound else None


def _memo(data: JSON) -> Memo | None:
    if not isinstance(data, dict) or not isinstance(version := data.get("version"), int):
        return None
    return Memo(version=version, data=data.get("data"))
