"""How well the model predicts each trial from all of the others, without fitting it again.

With K the covariance of the observations, noise and all, and m = 1'K^-1 y / 1'K^-1 1 estimated anew
without the trial, the residual and the variance are

    y_i - mean_i = [K^-1 (y - m)]_i / [K^-1 - K^-1 1 1'K^-1 / 1'K^-1 1]_ii,    1 / [K^-1]_ii

by Dubrule, "Cross validation of kriging in a unique neighborhood", 1983, and Rasmussen and
Williams, "Gaussian Processes for Machine Learning", 2006, section 5.4.2.  Length scales and noise
stay those of the fit to all trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve
from scipy.stats import binom

from search.explain.explanation import Diagnostics, LeftOut
from search.explain.surrogate import Surrogate
from search.explain.within import Groups, contexts_of, differ, in_company, quantiles, variance
from search.gp.posterior import Posterior
from search.outcomes import Lesson
from search.scales import Floats

INTERVAL = 1.6448536269514722  # half the width of a normal 90% interval
FEWEST = 8  # trials, to judge a model by
POOR = 0.1  # of R^2: hardly better than the mean
CHANCE = 0.01  # that 90% intervals of a right model cover as little


@dataclass(frozen=True, slots=True)
class Predictions:
    """Of each observation from the others: mean, and standard deviation with its noise."""

    mean: Floats
    sd: Floats


def leave_one_out(member: Posterior, y: Floats) -> Predictions:
    """The predictions of one process, for the targets that it was given."""
    n = len(y)
    inverse = cho_solve((member.L[:n, :n], True), np.eye(n), check_finite=False)
    sums = inverse.sum(axis=1)
    projected = inverse.diagonal() - np.square(sums) / sums.sum()
    return Predictions(y - member.a / projected, np.sqrt(1.0 / inverse.diagonal()))


def diagnose(surrogate: Surrogate, taught: Sequence[Lesson]) -> Diagnostics | None:
    """Of the plain members' mixture, over the trials with a value of their own and with another in
    their context; None with fewer than three of them, or when those of each context are equal.

    R^2 and the rank correlation are those within contexts: what tells these apart is no merit.  The
    model is called poor when R^2 is under POOR, or when its 90% intervals hold fewer trials
    than those of a right model would with probability CHANCE; with fewer than FEWEST trials it is
    not judged.
    """
    known, y = surrogate.known, surrogate.aims.y
    kept, groups = _judged(known.numbers, taught)
    if len(kept) < 3 or not differ(y[kept], groups):
        return None
    mean, sd = _mixture([leave_one_out(member, y) for member in surrogate.members])
    residuals = (y - mean) / sd
    r_squared = _r_squared(y[kept], mean[kept], groups)
    covered = int(np.sum(np.abs(residuals[kept]) <= INTERVAL))
    return Diagnostics(
        trials=len(kept),
        r_squared=r_squared,
        rank_correlation=_correlation(quantiles(y[kept], groups), quantiles(mean[kept], groups)),
        coverage=covered / len(kept),
        warning=_warning(len(kept), r_squared, covered),
        points=[
            LeftOut(
                trial=known.numbers[place],
                measured=surrogate.sign * float(known.losses[place]),
                predicted=surrogate.metric(float(mean[place])),
                sd=float(sd[place]) * surrogate.scale,
                residual=surrogate.sign * float(residuals[place]),
            )
            for place in kept
        ],
    )


def _judged(numbers: Sequence[int], taught: Sequence[Lesson]) -> tuple[list[int], Groups]:
    """The places of the trials to judge by, and their contexts."""
    place = {number: k for k, number in enumerate(numbers)}
    own = [one for one in taught if one.measured and one.number in place]
    groups = contexts_of(own)
    company = in_company(groups)
    kept = [place[one.number] for one, fellow in zip(own, company, strict=True) if fellow]
    return kept, groups[company]


def _mixture(parts: list[Predictions]) -> tuple[Floats, Floats]:
    means = np.array([part.mean for part in parts])
    variance = np.mean([np.square(part.sd) for part in parts], axis=0) + means.var(axis=0)
    return means.mean(axis=0), np.sqrt(variance)


def _r_squared(y: Floats, mean: Floats, groups: Groups) -> float:
    """Against the variance within groups; of a single one this is the R^2 of textbooks."""
    return 1.0 - float(np.square(y - mean).sum()) / ((len(y) - 1) * variance(y, groups))


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread else 0.0


def _warning(trials: int, r_squared: float, covered: int) -> str | None:
    if trials < FEWEST:
        return f"the model rests on {trials} trials: fewer than {FEWEST} say little about it"
    if r_squared < POOR:
        return (
            f"the model is poor: it predicts a trial from the others hardly better than their mean "
            f"does (R^2 {r_squared:.2f} over {trials} trials, under {POOR})"
        )
    if covered < binom.ppf(CHANCE, trials, 0.9):
        return (
            f"the model is too sure of itself: its 90% intervals hold {covered} of {trials} trials"
        )
    return None
