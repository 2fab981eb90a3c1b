"""Which trials are the good ones, that the search draws from, and which are the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.outcomes import lessons, losses, shortfalls
from search.problem import Problem
from search.scales import Floats
from search.tpe.fronts import foremost
from search.trial import Trial, TrialState
from search.values import Config

MOST, MOST_OF_SEVERAL = 25, 100


@dataclass(frozen=True, slots=True)
class Split:
    """The configs of both kinds, each in the order of their trials."""

    below: Sequence[Config]
    above: Sequence[Config]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of a trial; None stands for losses that were not measured, or not finite."""

    trial: Trial
    losses: tuple[float, ...] | None


def gamma(count: int, objectives: int = 1) -> int:
    """How many of `count` trials are good ones: a tenth, up to a bound."""
    return min(math.ceil(0.1 * count), MOST if objectives == 1 else MOST_OF_SEVERAL)


def split(problem: Problem, trials: Sequence[Trial]) -> Split:
    """The ended trials that teach something, as good ones and others.

    What was not measured is never good.  Trials that miss an outcome constraint come behind all
    that meet them, those that miss by less first.
    """
    known = _outcomes(problem, trials)
    quota = gamma(len(known), len(problem.objectives))
    missed = _missed(problem, known)
    meet = [k for k, o in enumerate(known) if o.losses is not None and missed[k] == 0]
    good = [meet[k] for k in foremost(np.array([known[k].losses for k in meet]), quota)]
    miss = [k for k, o in enumerate(known) if o.losses is not None and missed[k] > 0]
    good += sorted(miss, key=lambda k: missed[k])[: quota - len(good)]
    chosen = set(good)
    return Split(
        below=[known[k].trial.config for k in sorted(chosen)],
        above=[o.trial.config for k, o in enumerate(known) if k not in chosen],
    )


def _outcomes(problem: Problem, trials: Sequence[Trial]) -> list[Outcome]:
    if len(problem.objectives) == 1:
        by_number = {trial.number: trial for trial in trials}
        return [
            Outcome(by_number[lesson.number], (lesson.loss,) if lesson.measured else None)
            for lesson in lessons(problem, trials)
        ]
    final = [t for t in trials if t.state.final and t.state is not TrialState.CANCELLED]
    return [Outcome(trial, _finite(problem, trial)) for trial in final]


def _finite(problem: Problem, trial: Trial) -> tuple[float, ...] | None:
    if trial.state not in (TrialState.COMPLETED, TrialState.STOPPED):
        return None
    found = losses(problem, trial)
    return found if found is not None and all(map(math.isfinite, found)) else None


def _missed(problem: Problem, known: Sequence[Outcome]) -> Floats:
    """By how much each misses the constraints, each in units of the most that any misses it by."""
    if not problem.constraints or not known:
        return np.zeros(len(known))
    found = np.array([shortfalls(problem, outcome.trial) for outcome in known])
    most = np.max(found, axis=0, initial=0.0, where=np.isfinite(found))
    shares: Floats = found / np.where(most > 0, most, 1.0)
    return np.asarray(shares.sum(axis=1))
