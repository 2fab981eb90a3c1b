"""A study without a service: every ask computes its suggestion from all that is known by then."""

from collections import deque

import numpy as np

from bench.parts.functions import METRIC, NAMES, hartmann
from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.searcher import History, Searcher
from search.space import SearchSpace
from search.trial import Trial, TrialState


def problem(seed: int) -> Problem:
    """Hartmann's function as a problem."""
    space = SearchSpace(parameters=[FloatParameter(name=name, low=0.0, high=1.0) for name in NAMES])
    return Problem(space=space, objectives=[Objective(metric=METRIC)], seed=seed)


def best_of_study(searcher: Searcher, *, seed: int, trials: int, workers: int) -> float:
    """The best value of a study whose workers take trials of equal length, in turn."""
    found: list[Trial] = []
    running: deque[int] = deque()
    memo = None
    for number in range(trials):
        if len(running) == workers:
            _finish(found, running.popleft())
        history = History(problem=problem(seed), trials=tuple(found), batch=number, memo=memo)
        batch = searcher.suggest(history, 1)
        memo, suggestion = batch.memo, batch.suggestions[0]
        found.append(
            Trial(
                number=number,
                config=suggestion.config,
                state=TrialState.RUNNING,
                origin=suggestion.origin,
            )
        )
        running.append(number)
    while running:
        _finish(found, running.popleft())
    return min(trial.values[METRIC] for trial in found)


def _finish(found: list[Trial], number: int) -> None:
    trial = found[number]
    found[number] = Trial(
        number=number,
        config=trial.config,
        state=TrialState.COMPLETED,
        values={METRIC: hartmann(trial.config)},
        origin=trial.origin,
    )


def random_configs(count: int, seed: int) -> list[dict[str, float]]:
    """Configs drawn uniformly."""
    rows = np.random.default_rng(seed).random((count, len(NAMES)))
    return [dict(zip(NAMES, map(float, row), strict=True)) for row in rows]
