"""What one fit with derivatives leaves for the next, as a memo."""

from __future__ import annotations

from search.bayes import refits
from search.bayes.gradient_model import Shape, cold_starts
from search.bayes.refits import FitPlan
from search.searcher import History, Memo
from search.values import JSON

VERSION = 40

Last = refits.Last[Shape]


def plan_fit(history: History, free: int, known: int, evaluations: int) -> FitPlan[Shape]:
    """What a batch that knows so many values and derivatives does about the model's shape."""
    last = read(history.memo)
    return refits.plan(last, cold_starts(free), history.batch, known, evaluations)


def read(memo: Memo | None) -> Last | None:
    """What is in a memo; None for a memo that is not ours."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return None
    shape, counts = memo.data.get("shape"), refits.counts_of(memo.data.get("known"))
    if not isinstance(shape, list) or counts is None:
        return None
    numbers = [float(each) for each in shape if isinstance(each, int | float)]
    if len(numbers) != len(shape) or len(numbers) < 3:
        return None
    found = Shape(tuple(numbers[:-2]), *numbers[-2:])
    return Last(found, *counts) if found.sound else None


def write(last: Last) -> Memo:
    """The memo that says so."""
    shape = last.at
    numbers: list[JSON] = [*shape.lengths, shape.noise, shape.slope_noise]
    return Memo(version=VERSION, data={"shape": numbers, "known": [last.polished, last.sought]})
