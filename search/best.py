"""Which trial did best."""

import math
from collections.abc import Iterable

from search.outcomes import feasible, losses
from search.problem import Problem
from search.trial import Trial, TrialState


def best_trial(problem: Problem, trials: Iterable[Trial]) -> Trial | None:
    """The completed trial with the lowest loss that meets the outcome constraints.

    Ties go to the lower number.  None when there is no such trial, or no one order to speak of
    because the problem has several objectives: pareto_front answers then.  By preference
    search.preferences.favourite answers.
    """
    if len(problem.objectives) > 1 or problem.by_preference:
        return None
    ranked = [(found[0], trial.number, trial) for trial, found in eligible(problem, trials)]
    return min(ranked, key=lambda entry: entry[:2])[2] if ranked else None


def eligible(problem: Problem, trials: Iterable[Trial]) -> list[tuple[Trial, tuple[float, ...]]]:
    """The completed trials that meet the outcome constraints, with their finite losses."""
    found = [
        (trial, losses(problem, trial))
        for trial in trials
        if trial.state is TrialState.COMPLETED and feasible(problem, trial)
    ]
    return [
        (trial, known)
        for trial, known in found
        if known is not None and all(math.isfinite(loss) for loss in known)
    ]
