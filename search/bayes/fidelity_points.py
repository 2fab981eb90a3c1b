"""What trials that ran to different steps have to say, as points (config, depth, loss)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search.encoding import Cube
from search.fidelity import Fidelity
from search.outcomes import lessons, losses
from search.problem import Objective, Problem
from search.scales import Floats
from search.targets import Targets, fenced, targets, telling
from search.trial import Trial, TrialState

RUNGS = 2  # of a trial's curve, the highest below its end: what came before says little more
MODEL_POINTS = 400


@dataclass(frozen=True, slots=True)
class Points:
    """The trial of each point, the row of its config, how deep it was measured (0 to 1), and what
    the model is to predict.
    """

    numbers: Sequence[int]
    rows: Floats
    depths: Floats
    aims: Targets

    @classmethod
    def of(
        cls,
        problem: Problem,
        trials: Sequence[Trial],
        fidelity: Fidelity,
        cube: Cube,
        rng: np.random.Generator,
    ) -> Points:
        """Of all trials that teach, at most MODEL_POINTS of them; the lowest losses stay."""
        found = list(_points(problem, trials, fidelity))
        kept = [found[k] for k in telling([loss for _, _, loss in found], MODEL_POINTS, rng)]
        return cls(
            numbers=[trial.number for trial, _, _ in kept],
            rows=cube.encode(trial.config for trial, _, _ in kept),
            depths=np.array([depth for _, depth, _ in kept]),
            aims=targets([loss for _, _, loss in kept], fenced),
        )


def measured(problem: Problem, trials: Sequence[Trial]) -> int:
    """How many trials have a finite loss, however far they ran."""
    return sum(math.isfinite(_end(problem, trial)) for trial in trials)


def _points(
    problem: Problem, trials: Sequence[Trial], fidelity: Fidelity
) -> Iterator[tuple[Trial, float, float]]:
    """Bad points teach what `lessons` gives them, as if they had run to the end."""
    taught = {lesson.number: lesson for lesson in lessons(problem, trials)}
    for trial in trials:
        lesson = taught.get(trial.number)
        if lesson is not None and not lesson.measured:
            yield trial, 1.0, lesson.loss
        elif lesson is not None:
            for depth, loss in _curve(problem, trial, fidelity):
                yield trial, depth, loss


def _curve(problem: Problem, trial: Trial, fidelity: Fidelity) -> Iterator[tuple[float, float]]:
    """The end of a trial, and what it had reached at the rungs before."""
    reached = _reached(problem.objectives[0], trial)
    last = _last_step(trial)
    end = 1.0 if trial.state is TrialState.COMPLETED else fidelity.depth(last) if last else None
    if end is not None:
        yield end, _end(problem, trial)
    below = [rung for rung in fidelity.rungs() if fidelity.depth(rung) < (end or 0.0)]
    for rung in below[-RUNGS:]:
        until = [loss for step, loss in reached if step <= rung]
        if until and math.isfinite(until[-1]) and any(step >= rung for step, _ in reached):
            yield fidelity.depth(rung), until[-1]


def _end(problem: Problem, trial: Trial) -> float:
    """The first objective's loss of a trial that counts; infinite for any other."""
    if trial.state not in (TrialState.COMPLETED, TrialState.STOPPED):
        return math.inf
    found = losses(Problem(space=problem.space, objectives=problem.objectives[:1]), trial)
    return math.inf if found is None else found[0]


def _last_step(trial: Trial) -> int | None:
    """How far a trial ran: its last measurement, or where it was planned to stop."""
    return trial.measurements[-1].step if trial.measurements else trial.until


def _reached(objective: Objective, trial: Trial) -> list[tuple[int, float]]:
    """What the objective read at each step."""
    found: list[tuple[int, float]] = []
    for measurement in trial.measurements:
        if objective.metric not in measurement.values:
            continue
        loss = objective.loss(measurement.values[objective.metric])
        if objective.read == "best" and found:
            loss = min(loss, found[-1][1])
        found.append((measurement.step, loss))
    return found
