"""What trials teach of each metric, where a study has several objectives or constraints.

As in outcomes.py every metric becomes a loss, lower is better: an objective's by its goal, that of
a metric under a constraint by the side on which it is kept (at_least turns the sign).  The lessons
of an objective are those of outcomes.py, each objective by itself: a bad point takes the worst
value seen of each, a failed one the median of each.  A constraint's bad points take the worst value
seen or, where that would be within the bounds, the bound itself; and whatever value a trial did
measure of it counts, since an infeasible trial may have met a constraint or broken it.

A trial that lacks a metric teaches the others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from search.outcomes import Lesson, lessons, losses
from search.problem import Objective, Problem
from search.trial import Trial, TrialState

ENDED_WELL = (TrialState.COMPLETED, TrialState.STOPPED)
BAD = (TrialState.INFEASIBLE, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric to be modelled: how it is read, and between which losses it has to lie."""

    read: Objective
    objective: bool
    low: float = -math.inf
    high: float = math.inf

    @property
    def name(self) -> str:
        """What trials report it as."""
        return self.read.metric

    @property
    def sign(self) -> float:
        """The loss is the sign times the value."""
        return 1.0 if self.read.goal == "minimize" else -1.0

    @property
    def bounded(self) -> bool:
        """Whether a constraint is on it."""
        return math.isfinite(self.low) or math.isfinite(self.high)


def metrics_of(problem: Problem) -> list[Metric]:
    """The objectives, in their order, and then what else is under a constraint."""
    found = {o.metric: Metric(o, objective=True) for o in problem.objectives}
    for constraint in problem.constraints:
        goal = "maximize" if constraint.at_most is None else "minimize"
        read = Objective(metric=constraint.metric, goal=goal)  # type: ignore[arg-type]
        metric = found.setdefault(constraint.metric, Metric(read, objective=False))
        low = -math.inf if constraint.at_least is None else constraint.at_least
        high = math.inf if constraint.at_most is None else constraint.at_most
        low, high = sorted((metric.sign * low, metric.sign * high))
        found[metric.name] = replace(metric, low=max(low, metric.low), high=min(high, metric.high))
    return list(found.values())


def lessons_of(metric: Metric, problem: Problem, trials: Sequence[Trial]) -> list[Lesson]:
    """What the trials teach of one metric, in their order; empty while none has measured it."""
    alone = replace(problem, objectives=(metric.read,))
    if metric.objective:
        return lessons(alone, trials)
    found = {t.number: loss for t in trials if (loss := _measured(alone, t)) is not None}
    if not found:
        return []
    middle, worst = median(found.values()), max(found.values())
    bad = max(worst, metric.high) if math.isfinite(metric.high) else worst
    return [
        Lesson(
            number=trial.number,
            config=trial.config,
            loss=found.get(trial.number, middle if trial.state is TrialState.FAILED else bad),
            measured=trial.number in found,
        )
        for trial in trials
        if trial.number in found or trial.state in BAD or _undefined(alone, trial)
    ]


def _measured(alone: Problem, trial: Trial) -> float | None:
    if trial.state not in (*ENDED_WELL, TrialState.INFEASIBLE):
        return None
    found = losses(alone, trial)
    return found[0] if found and math.isfinite(found[0]) else None


def _undefined(alone: Problem, trial: Trial) -> bool:
    """Whether the trial measured something that is no number, which meets no constraint."""
    return trial.state in ENDED_WELL and losses(alone, trial) is not None
