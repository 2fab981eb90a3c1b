"""What one fit leaves for the next, as a memo, and when hyperparameters are fitted anew.

Hyperparameters change little with one more result, while fitting them takes most of a batch's
time.  So they are polished from where they stood once the results have grown by a twentieth, and
sought from a cold start beside that once they have grown by a quarter; between those a batch only
conditions the model on what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search.bayes.model import Hyperparameters, cold_starts
from search.searcher import History, Memo
from search.values import JSON

VERSION = 2
POLISH_GROWTH, SEEK_GROWTH = 1.05, 1.25
POLISH_SHARE = 5  # a polish takes a fifth of the evaluations that a search takes


@dataclass(frozen=True, slots=True)
class Last:
    """The hyperparameters in use, and how many results there were when they were fitted."""

    at: Hyperparameters
    polished: int
    sought: int


@dataclass(frozen=True, slots=True)
class FitPlan:
    """Where a fit begins, how often it may evaluate, and how many results it will stand for.

    Without evaluations the first start, which is what was in use, stays in use.
    """

    starts: Sequence[Hyperparameters]
    evaluations: int
    polished: int
    sought: int


def plan_fit(history: History, free: int, results: int, evaluations: int) -> FitPlan:
    """What a batch that knows so many results does about its hyperparameters."""
    last = read(history.memo)
    cold = cold_starts(free)
    if last is None or len(last.at.lengths) != free:
        return FitPlan(cold, evaluations, results, results)
    due = refit(results, last.polished, last.sought)
    if due == "seek":
        # Batches take turns with the cold starts.
        starts = [last.at, cold[history.batch % len(cold)]]
        return FitPlan(starts, evaluations, results, results)
    if due == "polish":
        return FitPlan([last.at], max(1, evaluations // POLISH_SHARE), results, last.sought)
    return FitPlan([last.at], 0, last.polished, last.sought)


def refit(results: int, polished: int, sought: int) -> Literal["seek", "polish", "keep"]:
    """What is due when there are so many results, and were so many at the last fits."""
    if not sought <= results < SEEK_GROWTH * sought:
        return "seek"
    return "keep" if polished <= results < POLISH_GROWTH * polished else "polish"


def read(memo: Memo | None) -> Last | None:
    """What is in a memo; None for a memo that is not ours."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return None
    lengths, counts = memo.data.get("lengths"), memo.data.get("results")
    if not isinstance(lengths, list) or not lengths or not isinstance(counts, list):
        return None
    values = [*lengths, memo.data.get("noise"), memo.data.get("mean")]
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    whole = [count for count in counts if type(count) is int and count > 0]
    if len(numbers) != len(values) or len(whole) != len(counts) or len(whole) != 2:
        return None
    at = Hyperparameters(lengths=tuple(numbers[:-2]), noise=numbers[-2], mean=numbers[-1])
    return Last(at, *whole) if at.sound else None


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
