"""Which trials survive to be parents: environmental selection, a block of trials at a time.

Trials enter in blocks of `population` consecutive numbers.  Of the survivors so far and the
completed trials of a block, the best `population` by front and crowding survive.  That depends on
the trials alone, not on the order in which they ended; a trial that ends late joins its block.
The survivors of the leading blocks in which every trial has ended never change: they are kept in
the memo, so that a batch need not begin at trial 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.evolution.ranking import Ranks, crowding, dominates, ranks, total_violations
from search.outcomes import losses, shortfalls
from search.problem import Problem
from search.scales import Floats
from search.searcher import Memo
from search.trial import Trial, TrialState
from search.values import is_number

VERSION = 1


@dataclass(frozen=True, slots=True)
class Member:
    """A trial that may be a parent, with its losses and by how much it misses each constraint."""

    trial: Trial
    losses: tuple[float, ...]
    shortfalls: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Survivors:
    """Members, best first, each with its front and its crowding distance."""

    members: Sequence[Member]
    rank: Ranks
    crowding: Floats


def survivors(
    problem: Problem, trials: Sequence[Trial], population: int, memo: Memo | None
) -> tuple[Survivors, Memo | None]:
    """The best `population` trials, and the memo for the next batch."""
    settled = _settled(trials) // population
    begin, kept = _read(problem, trials, population, memo, settled)
    stored = memo if begin else None
    last = max(settled, math.ceil(len(trials) / population))
    for block in range(begin, last):
        kept = kept + _members(problem, trials[block * population : (block + 1) * population])
        if len(kept) > population:
            kept = list(select(kept, population).members)
        if block == settled - 1:
            numbers = sorted(member.trial.number for member in kept)
            stored = Memo(version=VERSION, data={"blocks": settled, "survivors": list(numbers)})
    return select(kept, population), stored


def select(members: Sequence[Member], population: int) -> Survivors:
    """The best `population` of the members; ties go to the lower number."""
    if not members:
        return Survivors([], np.empty(0, dtype=np.intp), np.empty(0))
    members = sorted(members, key=lambda member: member.trial.number)
    values = np.array([member.losses for member in members])
    amounts = np.array([member.shortfalls for member in members])
    rank = ranks(dominates(values, total_violations(amounts)))
    distance = crowding(values, rank)
    order = np.lexsort((-distance, rank))[:population]
    return Survivors([members[place] for place in order], rank[order], distance[order])


def _settled(trials: Sequence[Trial]) -> int:
    """How many trials there are before the first that has not ended."""
    return next((k for k, trial in enumerate(trials) if not trial.state.final), len(trials))


def _members(problem: Problem, trials: Sequence[Trial]) -> list[Member]:
    found: list[Member] = []
    for trial in trials:
        if trial.state is TrialState.COMPLETED:
            known = losses(problem, trial)
            if known is not None and all(math.isfinite(loss) for loss in known):
                found.append(Member(trial, known, shortfalls(problem, trial)))
    return found


def _read(
    problem: Problem, trials: Sequence[Trial], population: int, memo: Memo | None, settled: int
) -> tuple[int, list[Member]]:
    """How many blocks the memo spares, and their survivors; none for a memo that is not ours."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return 0, []
    blocks, numbers = memo.data.get("blocks"), memo.data.get("survivors")
    if not isinstance(blocks, int) or not isinstance(numbers, list) or not 0 < blocks <= settled:
        return 0, []
    end = blocks * population
    if not all(is_number(n) and int(n) == n and 0 <= n < end for n in numbers):  # type: ignore[arg-type]
        return 0, []
    found = _members(problem, [trials[int(n)] for n in numbers])  # type: ignore[arg-type]
    whole = len(found) == len(set(numbers)) == len(numbers) <= population
    return (blocks, found) if whole else (0, [])
