"""When a model's hyperparameters are fitted anew, and from where.

Hyperparameters change little with one more result, while fitting them takes most of a batch's
time.  So they are polished from where they stood once the results have grown by a twentieth, and
sought from a cold start beside that once they have grown by a quarter; between those a batch only
conditions the model on what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from search.values import JSON

POLISH_GROWTH, SEEK_GROWTH = 1.05, 1.25
POLISH_SHARE = 5  # a polish takes a fifth of the evaluations that a search takes


class Scaled(Protocol):
    """Hyperparameters with a length scale for each free parameter."""

    @property
    def lengths(self) -> tuple[float, ...]: ...


H = TypeVar("H", bound=Scaled)


@dataclass(frozen=True)
class Last(Generic[H]):
    """The hyperparameters in use, and how many results there were when they were fitted."""

    at: H
    polished: int
    sought: int


@dataclass(frozen=True)
class FitPlan(Generic[H]):
    """Where a fit begins, how often it may evaluate, and how many results it will stand for.

    Without evaluations the first start, which is what was in use, stays in use.
    """

    starts: Sequence[H]
    evaluations: int
    polished: int
    sought: int


def plan(
    last: Last[H] | None, cold: Sequence[H], batch: int, results: int, evaluations: int
) -> FitPlan[H]:
    """What a batch that knows so many results does; `cold` is where a first fit begins."""
    if last is None or len(last.at.lengths) != len(cold[0].lengths):
        return FitPlan(cold, evaluations, results, results)
    match _due(results, last.polished, last.sought):
        case "seek":
            # Batches take turns with the cold starts.
            starts = [last.at, cold[batch % len(cold)]]
            return FitPlan(starts, evaluations, results, results)
        case "polish":
            fewer = max(1, evaluations // POLISH_SHARE)
            return FitPlan([last.at], fewer, results, last.sought)
        case "keep":
            return FitPlan([last.at], 0, last.polished, last.sought)


def counts_of(data: JSON) -> tuple[int, int] | None:
    """`polished` and `sought` as a memo holds them; None for what is no such pair."""
    if not isinstance(data, list) or len(data) != 2:
        return None
    first, second = (n if type(n) is int and n > 0 else None for n in data)
    return None if first is None or second is None else (first, second)


def _due(results: int, polished: int, sought: int) -> Literal["seek", "polish", "keep"]:
    if not sought <= results < SEEK_GROWTH * sought:
        return "seek"
    return "keep" if polished <= results < POLISH_GROWTH * polished else "polish"
