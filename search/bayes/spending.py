"""What trials cost, and acquisition per unit of cost.

The cost of a config is modelled by its logarithm: costs are positive, and more often differ by
factors than by amounts.  An acquisition is divided by exp(E[log cost]) to a power (Snoek and
others, "Practical Bayesian Optimization of Machine Learning Algorithms", 2012, section 3.2).  That
the power may fall while the study goes on is the cooling of Lee and others, "Cost-aware Bayesian
Optimization", 2020.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from search.bayes.outcomes_model import Surface
from search.outcomes import Lesson, value_of
from search.searchers.aims import Cost
from search.trial import Trial, TrialState

COST = "cost of a trial"
SECONDS = "seconds"
# A stopped trial cost less than its config would have; a failed one may have ended at any time.
TELLING = (TrialState.COMPLETED, TrialState.INFEASIBLE)


def cost_lessons(cost: Cost | None, trials: Sequence[Trial]) -> list[Lesson]:
    """The logarithms of what trials cost; empty while fewer than two have one that is positive."""
    if cost is None:
        return []
    found = [
        Lesson(number=t.number, config=t.config, loss=math.log(spent), measured=True)
        for t in trials
        if t.state in TELLING and (spent := spent_by(cost, t)) is not None
    ]
    return found if len(found) > 1 else []


def spent_by(cost: Cost, trial: Trial) -> float | None:
    """What the trial cost, if that is known to be positive and finite."""
    spent = value_of(cost.metric, trial)
    if spent is None and cost.metric == SECONDS:
        times = [m.elapsed_seconds for m in trial.measurements if m.elapsed_seconds is not None]
        spent = times[-1] if times else None
    return spent if spent is not None and 0 < spent < math.inf else None


def expected_log_cost(surface: Surface, X: Tensor) -> Tensor:
    """E[log cost] at n points."""
    mean, _ = surface.observed.marginal(X)
    return surface.units.centre - mean * surface.units.scale
