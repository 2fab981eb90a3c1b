"""Four models of one study: two kernels, on losses standardised plainly and half by rank.

Which of them suits a study is not known before; their expected improvements are averaged, each in
units of its own targets.  In comparisons over 57 tuning tasks averaging was what helped most
consistently, and no single model's collapse on a task was the ensemble's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
CLIMBS = 5  # of the fits of all members


@dataclass(frozen=True, slots=True)
class Aims:
    """The losses as targets, plain and half-ranked, and their standard errors (0: none known)."""

    plain: Targets
    ranked: Targets
    errors: Floats

    @classmethod
    def of(cls, losses: Sequence[float], errors: Floats | None = None) -> "Aims":
        """Of losses, absurd ones brought to a fence where they are not ranked."""
        known = np.zeros(len(losses)) if errors is None else errors
        return cls(targets(losses, fenced), targets(losses, half_ranked), known)

    def y(self, *, ranked: bool) -> Floats:
        """The targets of a member."""
        return self._of(ranked=ranked).y

    def known(self, *, ranked: bool) -> Floats:
        """What is known of the variances of a member's targets."""
        return self._of(ranked=ranked).noise(self.errors)

    def _of(self, *, ranked: bool) -> Targets:
        return self.ranked if ranked else self.plain


def fit_members(
    features: Floats, owners: list[int], aims: Aims, evaluations: int
) -> tuple[Hyperparameters, ...]:
    """Each member's hyperparameters; `evaluations` in all, at most.

    The first fit begins from two cold starts, that of the other targets where it ended, and the
    squared exponential kernel's where the Matern kernel's on the same targets did: they get as far
    as from cold starts, or further, with about half of the evaluations.
    """
    points, starts = Points(features, owners), cold_starts(max(owners) + 1)
    found: dict[tuple[Kernel, bool], Hyperparameters] = {}
    for kernel, ranked in MEMBERS:
        if found:
            starts = [found[MATERN, ranked and kernel is RBF]]
        y, noise = aims.y(ranked=ranked), aims.known(ranked=ranked)
        evidence = Evidence(points, y, kernel, noise)
        found[kernel, ranked] = fit(evidence, starts, len(starts) * (evaluations // CLIMBS))
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The members' posteriors, in the order of MEMBERS.

    `tail` holds what all rows of features end with, and leave out: the context that is asked in.
    """

    members: tuple[Posterior, ...]
    tail: tuple[float, ...] = ()

    @classmethod
    def of(
        cls, fitted: Sequence[Hyperparameters], features: Floats, owners: list[int], aims: Aims
    ) -> "Ensemble":
        """Given the observations at rows of features."""
        members: list[Posterior] = []
        for (kernel, ranked), at in zip(MEMBERS, fitted, strict=True):
            y, noise = aims.y(ranked=ranked), aims.known(ranked=ranked)
            members.append(Posterior.of(kernel, at, features, owners, y, known=noise))
        return cls(tuple(members))

    def asked_in(self, tail: Floats, configs: Floats) -> "Ensemble":
        """The same, asked in one context, of which `tail` holds the features.

        What is to be improved upon is the lowest mean there of any of these configs, wherever they
        were tried: the best that could be chosen for this context without another trial.
        """
        here = replace(self, tail=tuple(tail.tolist()))
        whole = here.whole(configs)
        members = (replace(m, best=float(np.min(m.means(whole)))) for m in self.members)
        return replace(here, members=tuple(members))

    def whole(self, features: Floats) -> Floats:
        """Rows of features with what they leave out."""
        if not self.tail:
            return features
        return np.concatenate([features, np.tile(self.tail, (len(features), 1))], axis=1)

    def pending(self, features: Floats) -> "Ensemble":
        """With these rows under way as well."""
        whole = self.whole(features)
        return replace(self, members=tuple(member.pending(whole) for member in self.members))

    def believe(self, features: Floats) -> list[Belief]:
        """What each member believes of rows of features."""
        whole = self.whole(features)
        return [member.believe(whole) for member in self.members]

    def believe_again(self, features: Floats, before: Sequence[Belief]) -> list[Belief]:
        """What the beliefs become with the points that are pending since."""
        whole, pairs = self.whole(features), zip(self.members, before, strict=True)
        return [member.believe_again(whole, belief) for member, belief in pairs]

    def expected(self, features: Floats) -> Floats:
        """The mean of the plain members at rows of features."""
        whole = self.whole(features)
        found: Floats = np.mean([m.means(whole) for m in self.members[:PLAIN]], axis=0)
        return found

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
        whole = self.whole(features)
        found: Floats = np.mean([m.correlation(whole) for m in self.members[:PLAIN]], axis=0)
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
