"""What one fit leaves for the next, as a memo."""

from __future__ import annotations

from search.bayes import refits
from search.bayes.model import Hyperparameters, cold_starts
from search.bayes.refits import FitPlan
from search.searcher import History, Memo
from search.values import JSON

VERSION = 2

Last = refits.Last[Hyperparameters]


def plan_fit(
    history: History, free: int, results: int, evaluations: int
) -> FitPlan[Hyperparameters]:
    """What a batch that knows so many results does about its hyperparameters."""
    last = read(history.memo)
    return refits.plan(last, cold_starts(free), history.batch, results, evaluations)


def read(memo: Memo | None) -> Last | None:
    """What is in a memo; None for a memo that is not ours."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return None
    lengths, counts = memo.data.get("lengths"), refits.counts_of(memo.data.get("results"))
    if not isinstance(lengths, list) or not lengths or counts is None:
        return None
    values = [*lengths, memo.data.get("noise"), memo.data.get("mean")]
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    if len(numbers) != len(values):
        return None
    at = Hyperparameters(lengths=tuple(numbers[:-2]), noise=numbers[-2], mean=numbers[-1])
    return Last(at, *counts) if at.sound else None


def write(last: Last) -> Memo:
    """The memo that says so."""
    at = last.at
    data: JSON = {
        "lengths": list(at.lengths),
        "noise": at.noise,
        "mean": at.mean,
        "results": [last.polished, last.sought],
    }
    return Memo(version=VERSION, data=data)
