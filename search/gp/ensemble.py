"""Four models of one study: two kernels, on losses standardised plainly and half by rank.

Which of them suits a study is not known before; their expected improvements are averaged, each in
units of its own targets.  In comparisons over 57 tuning tasks averaging was what helped most
consistently, and no single model's collapse on a task was the ensemble's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.gp.fit import Evidence, Hyperparameters, Points, cold_starts, fit
from search.gp.improvement import log_expected_improvement
from search.gp.kernels import MATERN, RBF, Kernel
from search.gp.posterior import Belief, Posterior
from search.scales import Floats
from search.targets import Targets, fenced, half_ranked, targets

# A kernel, and whether its targets are half-ranked.  The plain ones come first: predictions
# are theirs alone.
MEMBERS: tuple[tuple[Kernel, bool], ...] = (
    (MATERN, False),
    (RBF, False),
    (MATERN, True),
    (RBF, True),
)
PLAIN = 2
CLIMBS = 6  # of the fits of all members


@dataclass(frozen=True, slots=True)
class Aims:
    """The losses as targets, plain and half-ranked."""

    plain: Targets
    ranked: Targets

    @classmethod
    def of(cls, losses: Sequence[float]) -> "Aims":
        """Of losses, absurd ones brought to a fence where they are not ranked."""
        return cls(targets(losses, fenced), targets(losses, half_ranked))

    def y(self, *, ranked: bool) -> Floats:
        """The targets of a member."""
        return self.ranked.y if ranked else self.plain.y


def fit_members(
    features: Floats, owners: list[int], aims: Aims, evaluations: int
) -> tuple[Hyperparameters, ...]:
    """Each member's hyperparameters; `evaluations` in all, at most.

    The Matern kernel's fits begin from two cold starts, and the squared exponential one's where
    those ended: with a quarter of the evaluations it gets as far as from cold starts, or further.
    """
    points, cold = Points(features, owners), cold_starts(max(owners) + 1)
    found: list[Hyperparameters] = []
    for kernel, ranked in MEMBERS:
        starts = cold if kernel is MATERN else found[-1:]
        evidence = Evidence(points, aims.y(ranked=ranked), kernel)
        found.append(fit(evidence, starts, len(starts) * (evaluations // CLIMBS)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The members' posteriors, in the order of MEMBERS."""

    members: tuple[Posterior, ...]

    @classmethod
    def of(
        cls, fitted: Sequence[Hyperparameters], features: Floats, owners: list[int], aims: Aims
    ) -> "Ensemble":
        """Given the observations at rows of features."""
        return cls(
            tuple(
                Posterior.of(kernel, at, features, owners, aims.y(ranked=ranked))
                for (kernel, ranked), at in zip(MEMBERS, fitted, strict=True)
            )
        )

    def pending(self, features: Floats) -> "Ensemble":
        """With these rows under way as well."""
        return Ensemble(tuple(member.pending(features) for member in self.members))

    def believe(self, features: Floats) -> list[Belief]:
        """What each member believes of rows of features."""
        return [member.believe(features) for member in self.members]

    def believe_again(self, features: Floats, before: Sequence[Belief]) -> list[Belief]:
        """What the beliefs become with the points that are pending since."""
        pairs = zip(self.members, before, strict=True)
        return [member.believe_again(features, belief) for member, belief in pairs]

    def acquisition(self, beliefs: Sequence[Belief]) -> Floats:
        """The logarithm of the mean of the members' expected improvements."""
        return mean_of(self.improvements(beliefs))

    def improvements(self, beliefs: Sequence[Belief]) -> list[Floats]:
        """The logarithms of each member's expected improvements on its best mean."""
        return [
            log_expected_improvement(belief.mean, belief.sd, member.best)
            for member, belief in zip(self.members, beliefs, strict=True)
        ]

    def similarity(self, features: Floats) -> Floats:
        """How alike the plain members hold one row and each point they know, 0 to 1."""
        found: Floats = np.mean([m.correlation(features) for m in self.members[:PLAIN]], axis=0)
        return found


def mean_of(logs: Sequence[Floats]) -> Floats:
    """The logarithm of the mean of what these are the logarithms of."""
    found: Floats = np.logaddexp.reduce(logs) - math.log(len(logs))
    return found


def largest_gain(logs: Sequence[Floats]) -> float:
    """The most that any of the points is expected to improve, by the plain members."""
    return math.exp(float(np.max(mean_of(logs[:PLAIN]))))


def moments(beliefs: Sequence[Belief]) -> tuple[float, float]:
    """Mean and standard deviation of the plain members' mixture at a single point."""
    means = np.array([belief.mean[0] for belief in beliefs[:PLAIN]])
    variances = np.array([belief.variance[0] for belief in beliefs[:PLAIN]])
    return float(means.mean()), float(np.sqrt(variances.mean() + means.var()))
