"""Trials that are planned to run to a step and no further, as a searcher with fidelities wants.

The step is a milestone like those of a scheduler, and the first of both counts.
"""

from search.scheduler import Stop
from search.trial import TrialState
from service.leases.known import KnownTrial
from service.leases.results import Outcome, Progress
from service.schemas.trials import Completed, Stopped
from service.studies.spec import Spec


def sooner(a: int | None, b: int | None) -> int | None:
    """The lower of two milestones, of which either may be none."""
    known = [step for step in (a, b) if step is not None]
    return min(known, default=None)


def planned_stop(spec: Spec, trial: KnownTrial, step: int) -> Stop | None:
    """The end of a trial that has come as far as it was planned to; None for any other."""
    if trial.planned is None or step < trial.planned:
        return None
    steps = spec.searcher.planned_steps()
    full = f" of {steps[1]}" if steps else ""
    return Stop(reason=f"as far as planned: {trial.planned}{full} steps")


def as_planned(spec: Spec, trial: KnownTrial, progress: Progress, outcome: Outcome) -> Outcome:
    """What was told, but a trial that ended because it was planned to has not completed.

    A worker may take the end of its loop for the end of training.  One that ran on to a full run
    all the same has completed, and so has one whose program ended before the planned step.
    """
    stop = planned_stop(spec, trial, progress.reach)
    steps = spec.searcher.planned_steps()
    if not isinstance(outcome, Completed) or stop is None or steps is None:
        return outcome
    if progress.state != TrialState.RUNNING or progress.reach >= steps[1]:
        return outcome
    return Stopped(values=outcome.values, reason=stop.reason, log_tail=outcome.log_tail)
