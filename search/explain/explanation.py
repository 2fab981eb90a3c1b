"""What an explanation says: plain data, which travels as it stands.

Numbers of the metric are in its own units, whichever way it should go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from search.values import Value, Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance(Wire):
    """How much depends on one parameter, by two measures, and how many trials each rests on.

    `share` is its part of what sets the best trials apart (PED-ANOVA): the shares add up to 1.
    `first_order` is the part of the model's variance that knowing the parameter explains, `total`
    the part that is left when all others are known (Sobol' indices of the posterior mean).  None:
    too few trials.
    """

    parameter: str
    share: float | None
    share_trials: int
    share_best: int  # of these trials, the ones that are set apart
    first_order: float | None
    total: float | None
    model_trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependence(Wire):
    """The metric along one parameter, as the model sees it, averaged over the others.

    `sd` is the mean of the standard deviations at the configs that were averaged over, at least
    `configs` for each value.  Of a permutation, the values are the positions of `item`, from 1 on.
    """

    parameter: str
    item: str | None = None
    values: Sequence[Value]
    mean: Sequence[float]
    sd: Sequence[float]
    configs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDependence(Wire):
    """The metric along two parameters: `mean[i][k]` at rows[i] and columns[k].

    None where the two are never active together, or where constraints leave no config.
    """

    row_parameter: str
    column_parameter: str
    rows: Sequence[Value]
    columns: Sequence[Value]
    mean: Sequence[Sequence[float | None]]
    configs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut(Wire):
    """A trial as measured, and as predicted from all of the others."""

    trial: int
    measured: float
    predicted: float
    sd: float
    residual: float  # measured - predicted, in standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics(Wire):
    """How well the model predicts each trial from the others; `coverage` is of 90% intervals."""

    trials: int
    r_squared: float
    rank_correlation: float
    coverage: float
    warning: str | None
    points: Sequence[LeftOut]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers(Wire):
    """How well the model tells which of two trials a person prefers, from the other answers.

    `foretold` is the share of the `answers` that it gets right.
    """

    answers: int
    foretold: float
    warning: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge(Wire):
    """A bound at which the best trials crowd: `near` of the best `of`.

    `chance` is the probability of as many if the best lay anywhere with equal probability.
    """

    parameter: str
    bound: str  # lower or upper
    value: Value
    near: int
    of: int
    chance: float
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Wire):
    """What the trials say of a metric, and what a model makes of it.

    `trials` ended and teach something, `measured` of them with a value of their own.  `because`
    says why there is no model; what it would have answered is then missing.  By preference, the
    metric is the utility that the answers speak for, `measured` trials were compared, and `answers`
    stands in place of `diagnostics`.
    """

    metric: str
    goal: str
    trials: int
    measured: int
    importance: Sequence[Importance] = ()
    dependence: Sequence[Dependence] = ()
    pair: PairDependence | None = None
    diagnostics: Diagnostics | None = None
    answers: Answers | None = None
    edges: Sequence[Edge] = ()
    warnings: Sequence[str] = ()
    because: str | None = None
