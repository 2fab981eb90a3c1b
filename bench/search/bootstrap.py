"""Means over tasks and seeds, with intervals of a two-level bootstrap.

Both levels are resampled: tasks with replacement within each group, and seeds with replacement
within each task drawn.  A task weighs the same however many seeds it ran with, and a group's tasks
stay that group's, so that `overall` keeps its mixture.  The seeds of a task are those that both of
two compared solvers ran.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
SEED = 20_261_122

Scores: TypeAlias = Mapping[str, Mapping[int, float]]  # task -> seed -> score


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds of its interval."""

    mean: float
    low: float
    high: float
    tasks: int

    def rounded(self) -> dict[str, float | int]:
        """As it stands in a result file."""
        return {
            "score": round(self.mean, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "tasks": self.tasks,
        }


def mean_score(strata: Sequence[Scores], *, resamples: int = RESAMPLES) -> Interval:
    """The mean over all tasks of the strata (groups), each task being the mean of its seeds."""
    kept = [[list(seeds.values()) for seeds in stratum.values() if seeds] for stratum in strata]
    kept = [tasks for tasks in kept if tasks]
    count = sum(len(tasks) for tasks in kept)
    if not count:
        raise ValueError("a mean needs at least one task")
    rng = np.random.default_rng(SEED)
    totals = np.zeros(resamples)
    for tasks in kept:
        totals += _resampled_sum(tasks, rng, resamples)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(totals / count, [tail, 1 - tail])
    mean = sum(float(np.mean(task)) for tasks in kept for task in tasks) / count
    return Interval(mean, float(low), float(high), count)


def difference(
    ours: Sequence[Scores], theirs: Sequence[Scores], *, resamples: int = RESAMPLES
) -> Interval:
    """The mean paired difference, task by task and seed by seed, where both have a score."""
    return mean_score(
        [_paired(a, b) for a, b in zip(ours, theirs, strict=True)], resamples=resamples
    )


def _paired(ours: Scores, theirs: Scores) -> Scores:
    return {
        task: {
            seed: score - theirs[task][seed]
            for seed, score in seeds.items()
            if seed in theirs[task]
        }
        for task, seeds in ours.items()
        if task in theirs
    }


def _resampled_sum(
    tasks: Sequence[Sequence[float]], rng: np.random.Generator, resamples: int
) -> np.ndarray:
    """For each resample, the sum over as many drawn tasks as there are of their drawn means."""
    drawn = rng.integers(len(tasks), size=(resamples, len(tasks)))
    total = np.zeros(resamples)
    for index, scores in enumerate(tasks):
        times = (drawn == index).sum(axis=1)  # in each resample
        values = np.asarray(scores)
        picks = rng.integers(len(values), size=(int(times.sum()), len(values)))
        means = values[picks].mean(axis=1)
        np.add.at(total, np.repeat(np.arange(resamples), times), means)
    return total
