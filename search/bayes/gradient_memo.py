"""What one fit with derivatives leaves for the next, as a memo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.bayes.gradient_model import Shape, cold_starts
from search.bayes.warm import POLISH_SHARE, refit
from search.searcher import History, Memo
from search.values import JSON

VERSION = 40


@dataclass(frozen=True, slots=True)
class Last:
    """The shape in use, and how many numbers were known when it was fitted."""

    shape: Shape
    polished: int
    sought: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a fit begins, how often it may evaluate, and for how many numbers it will stand."""

    starts: Sequence[Shape]
    evaluations: int  # 0: the first start stays in use
    polished: int
    sought: int


def plan_fit(history: History, free: int, known: int, evaluations: int) -> Plan:
    """What a batch that knows so many values and derivatives does about the model's shape."""
    last, cold = read(history.memo), cold_starts(free)
    if last is None or len(last.shape.lengths) != free:
        return Plan(cold, evaluations, known, known)
    match refit(known, last.polished, last.sought):
        case "seek":
            starts = [last.shape, cold[history.batch % len(cold)]]
            return Plan(starts, evaluations, known, known)
        case "polish":
            return Plan([last.shape], max(1, evaluations // POLISH_SHARE), known, last.sought)
        case "keep":
            return Plan([last.shape], 0, last.polished, last.sought)


def read(memo: Memo | None) -> Last | None:
    """What is in a memo; None for a memo that is not ours."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return None
    shape, counts = memo.data.get("shape"), memo.data.get("known")
    if not isinstance(shape, list) or not isinstance(counts, list):
        return None
    numbers = [float(each) for each in shape if isinstance(each, int | float)]
    whole = [count for count in counts if type(count) is int and count > 0]
    if len(numbers) != len(shape) or len(numbers) < 3 or not len(whole) == len(counts) == 2:
        return None
    found = Shape(tuple(numbers[:-2]), *numbers[-2:])
    return Last(found, *whole) if found.sound else None


def write(last: Last) -> Memo:
    """The memo that says so."""
    shape = last.shape
    numbers: list[JSON] = [*shape.lengths, shape.noise, shape.slope_noise]
    return Memo(version=VERSION, data={"shape": numbers, "known": [last.polished, last.sought]})
