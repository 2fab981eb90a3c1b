"""Ageing evolution: the youngest trials live, the best of a few of them has a child.

Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search",
2019, algorithm 1.  Trials are as old as their numbers say, so that the order in which results come
in does not matter, and any number of trials may be under way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from search.candidates import Candidates
from search.encoding import Cube
from search.evolution.children import AT_A_TIME, first_then
from search.outcomes import losses
from search.problem import Problem
from search.searcher import Batch, History, Suggestion
from search.trial import Trial, TrialState

if TYPE_CHECKING:
    from search.searchers.evolution import Evolution

FEWEST = 20  # alive in a small study, and covering its space before there is a child
STEP = 0.1  # of the scale, by which a mutation moves a number


def suggest(settings: Evolution, history: History, count: int) -> Batch:
    """`count` children of the trials that are alive."""
    alive = living(settings.population, len(history.trials))
    parents = youngest(history.problem, history.trials, alive)
    children = None
    if len(parents) >= 2:
        drawn = max(1, round(len(parents) * settings.competing / settings.population))
        children = _children(history, parents, drawn)
    return first_then(history, count, first=min(FEWEST, settings.population), children=children)


def living(population: int, trials: int) -> int:
    """How many are alive in a study of so many trials."""
    return min(population, max(FEWEST, trials // 2))


def youngest(problem: Problem, trials: Sequence[Trial], count: int) -> list[tuple[Trial, float]]:
    """The latest trials that ended with a finite loss, and these, the latest first.

    A stopped trial counts with the loss it was stopped at.
    """
    found: list[tuple[Trial, float]] = []
    for trial in reversed(trials):
        if len(found) == count:
            break
        if trial.state in (TrialState.COMPLETED, TrialState.STOPPED):
            loss = losses(problem, trial)
            if loss is not None and math.isfinite(loss[0]):
                found.append((trial, loss[0]))
    return found


def _children(
    history: History, parents: Sequence[tuple[Trial, float]], drawn: int
) -> Iterator[Suggestion]:
    cube, rng = Cube(history.problem.space), history.rng()
    candidates = Candidates(cube, cube.encode([]), rng)
    rows = cube.encode(trial.config for trial, _ in parents)
    values = np.array([loss for _, loss in parents])
    while True:
        tournaments = rng.integers(len(parents), size=(AT_A_TIME, drawn))
        best = values[tournaments].argmin(axis=1)
        winners = tournaments[np.arange(AT_A_TIME), best]
        children = candidates.mutations(rows[winners], 1, STEP)
        for winner, child in zip(winners.tolist(), children, strict=True):
            origin = {"by": "evolution", "parent": parents[winner][0].number}
            yield Suggestion(config=cube.decode(child), origin=origin)
