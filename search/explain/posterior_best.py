"""The best trial of a noisy objective: the one of which the model expects most.

The lowest of many noisy values is lucky as well as good, and promises what its config does not
keep.  The posterior mean at a config weighs its value against those of its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.best import eligible
from search.explain.surrogate import NoModel, Surrogate, exactly, generator
from search.outcomes import lessons
from search.problem import Problem
from search.trial import Trial

DIGITS = 9  # of standard units: the same config twice is no contest


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorBest:
    """A trial's number, and what is expected of its config in units of the metric."""

    number: int
    mean: float
    sd: float


def posterior_best(problem: Problem, trials: Sequence[Trial]) -> PosteriorBest | None:
    """Of the completed trials that meet the outcome constraints; ties go to the lower number.

    None where there is no such trial, no model, or no one order because there are several
    objectives.
    """
    tried = [trial for trial, _ in eligible(problem, trials)]
    if len(problem.objectives) > 1 or not tried:
        return None
    try:
        with exactly():
            model = Surrogate.of(problem, lessons(problem, trials), generator(problem.seed))
            mean, sd = model.of_trials(tried)
            place = int(np.argmin(np.round(mean, DIGITS)))
            return PosteriorBest(
                number=tried[place].number,
                mean=model.metric(float(mean[place])),
                sd=float(sd[place]) * model.scale,
            )
    except NoModel:
        return None
