"""What trials have to say: the one place where metrics become losses, of which lower is better.

Three kinds of trial teach a model of the loss:

- completed ones, and stopped ones.  A stopped trial is read at its last step and credited with the
  median of what completed trials still gained after that step, but never made better than the best
  completed one: it was stopped for doing badly then, not for ending badly.
- bad points: infeasible ones, and those that ended with a loss that is not finite.  They teach the
  worst loss seen, which keeps a model away without bending it out of shape.
- failed ones.  Whether the point or the machine was at fault is not known, so they teach the
  median: enough not to be tried again soon, too little to close off their surroundings.

Cancelled trials teach nothing: a person's reasons are not the point's.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from search.problem import Objective, Problem
from search.trial import Measurement, Trial, TrialState
from search.values import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one trial teaches of the first objective; `measured` is false for an imputed loss.

    `error` is the standard error that was told with the loss; 0 where none was, as for every loss
    that is imputed or credited with something.
    """

    number: int
    config: Config
    loss: float
    measured: bool
    error: float = 0.0
    context: Config = field(default_factory=dict)


def losses(problem: Problem, trial: Trial) -> tuple[float, ...] | None:
    """The loss for each objective, +inf where not finite; None when one was not measured."""
    found = [_loss(objective, trial) for objective in problem.objectives]
    known = [loss for loss in found if loss is not None]
    return tuple(known) if len(known) == len(found) else None


def feasible(problem: Problem, trial: Trial) -> bool:
    """Whether every outcome constraint was measured, and met, at the trial's last step."""
    for constraint in problem.constraints:
        value = _value(Objective(metric=constraint.metric), trial)
        if value is None or not constraint.holds(value):
            return False
    return True


def shortfalls(problem: Problem, trial: Trial) -> tuple[float, ...]:
    """By how much each outcome constraint was missed at the trial's last step.

    0 where it was met, +inf where it was not measured or is not finite.
    """
    found: list[float] = []
    for constraint in problem.constraints:
        value = _value(Objective(metric=constraint.metric), trial)
        known = value is not None and math.isfinite(value)
        found.append(constraint.shortfall(value) if known else math.inf)  # type: ignore[arg-type]
    return tuple(found)


def value_of(metric: str, trial: Trial) -> float | None:
    """The trial's value of a metric, finite or not, at its last step; None when it has none."""
    return _value(Objective(metric=metric), trial)


def lessons(problem: Problem, trials: Sequence[Trial]) -> list[Lesson]:
    """What the trials teach of the first objective, in their order.

    Empty while nothing finite was measured: bad points alone have no worst loss to be given.
    """
    found = dict(_measured(problem.objectives[0], trials))
    if not found:
        return []
    worst, middle = max(found.values()), median(found.values())
    taught: list[Lesson] = []
    for trial in trials:
        imputed = middle if trial.state is TrialState.FAILED else worst
        if trial.number in found or _teaches(problem.objectives[0], trial):
            loss = found.get(trial.number, imputed)
            taught.append(
                Lesson(
                    number=trial.number,
                    config=trial.config,
                    loss=loss,
                    measured=trial.number in found,
                    error=_error(problem.objectives[0], trial) if trial.number in found else 0.0,
                    context=trial.context,
                )
            )
    return taught


def _teaches(objective: Objective, trial: Trial) -> bool:
    """Whether a trial without a finite loss teaches one all the same."""
    if trial.state in (TrialState.COMPLETED, TrialState.STOPPED):
        return _loss(objective, trial) is not None
    return trial.state in (TrialState.INFEASIBLE, TrialState.FAILED)


def _error(objective: Objective, trial: Trial) -> float:
    """The standard error of a completed trial's value; what makes no sense counts as none."""
    error = trial.errors.get(objective.metric, 0.0)
    return error if trial.state is TrialState.COMPLETED and 0 < error < math.inf else 0.0


def _measured(objective: Objective, trials: Sequence[Trial]) -> Iterator[tuple[int, float]]:
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETED]
    best = min((_finite(objective, trial) for trial in completed), default=math.inf)
    gains: dict[int, float] = {}
    for trial in trials:
        loss = _finite(objective, trial)
        if trial.state is TrialState.STOPPED and math.isfinite(loss) and trial.measurements:
            step = trial.measurements[-1].step
            if step not in gains:
                gains[step] = _remaining_gain(objective, completed, step)
            loss = max(loss - gains[step], min(loss, best))
        if trial.state in (TrialState.COMPLETED, TrialState.STOPPED) and math.isfinite(loss):
            yield trial.number, loss


def _remaining_gain(objective: Objective, completed: Sequence[Trial], step: int) -> float:
    """By how much completed trials still improved after the step: the median, 0 when unknown."""
    gains: list[float] = []
    for trial in completed:
        until = [m for m in trial.measurements if m.step <= step]
        if until and until[-1].step == step and (value := _read(objective, until)) is not None:
            gains.append(objective.loss(value) - _finite(objective, trial))
    known = [gain for gain in gains if math.isfinite(gain)]
    return max(0.0, median(known)) if known else 0.0


def _finite(objective: Objective, trial: Trial) -> float:
    loss = _loss(objective, trial)
    return math.inf if loss is None else loss


def _loss(objective: Objective, trial: Trial) -> float | None:
    value = _value(objective, trial)
    return None if value is None else objective.loss(value)


def _value(objective: Objective, trial: Trial) -> float | None:
    if objective.metric in trial.values:
        return trial.values[objective.metric]
    return _read(objective, trial.measurements)


def _read(objective: Objective, measurements: Sequence[Measurement]) -> float | None:
    values = [m.values[objective.metric] for m in measurements if objective.metric in m.values]
    if not values:
        return None
    return min(values, key=objective.loss) if objective.read == "best" else values[-1]
