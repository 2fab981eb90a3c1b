"""What a study is after: objectives, and constraints on outcomes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search.context import check_declared
from search.earlier import EarlierStudy, check_earlier
from search.errors import InvalidProblem
from search.parameters import NAME, FloatParameter, Parameter
from search.space import SearchSpace
from search.values import Flag, Real, Whole, Wire

MAX_OBJECTIVES = 8
MAX_CONSTRAINTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective(Wire):
    """A metric to minimise or maximise, or a preference to meet.

    By preference nothing is measured: a person says which of two trials is better, or ranks
    several, and `metric` is only a name for what they judge by.

    `read` says which of a trial's measured values counts when `tell` gave none: the last step's,
    or the best over its steps.  `reference` is the worst value worth having (several objectives).
    `noisy` says that the same config gives another value each time: the best trial is then the one
    of which a model expects most, not the one that was measured best.
    `gradients` says that its derivatives with respect to float parameters are told with it.
    """

    metric: str
    goal: Literal["minimize", "maximize"] = "minimize"
    read: Literal["last", "best"] = "last"
    reference: Real | None = None
    by: Literal["metric", "preference"] = "metric"
    noisy: Flag = False
    gradients: Flag = False

    def __post_init__(self) -> None:
        check_metric_name(self.metric)
        if self.by == "preference" and (
            self.goal != "maximize"
            or self.read != "last"
            or self.reference is not None
            or self.noisy
            or self.gradients
        ):
            raise InvalidProblem(
                f"objective {self.metric!r} is by preference: its goal is 'maximize', as answers "
                f"rank from best to worst, and nothing is read or compared with a reference",
                at=("by",),
            )

    def loss(self, value: float) -> float:
        """The value with its sign turned so that lower is better; non-finite becomes +inf."""
        if not math.isfinite(value):
            return math.inf
        return self.value(value)  # turning a sign is its own inverse

    def value(self, loss: float) -> float:
        """The value of the metric that is this loss: the other way round."""
        return loss if self.goal == "minimize" else -loss


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeConstraint(Wire):
    """A metric that must end at most, or at least, at a bound."""

    metric: str
    at_most: Real | None = None
    at_least: Real | None = None

    def __post_init__(self) -> None:
        check_metric_name(self.metric)
        if self.at_most is None and self.at_least is None:
            raise InvalidProblem(f"constraint on {self.metric!r}: give at_most or at_least")
        if None not in (self.at_most, self.at_least) and self.at_least > self.at_most:  # type: ignore[operator]
            raise InvalidProblem(
                f"constraint on {self.metric!r}: at_least={self.at_least} "
                f"exceeds at_most={self.at_most}",
                at=("at_least",),
            )

    def holds(self, value: float) -> bool:
        """Whether the value meets the constraint; NaN does not."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return low <= value <= high

    def shortfall(self, value: float) -> float:
        """By how much the value misses the constraint, 0 when it holds; NaN misses by +inf."""
        if math.isnan(value):
            return math.inf
        below = 0.0 if self.at_least is None else self.at_least - value
        above = 0.0 if self.at_most is None else value - self.at_most
        return max(0.0, below, above)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Wire):
    """All that a searcher knows of a study besides its history.

    `context` holds the parameters that are given with an ask rather than searched.
    `earlier` holds what was learned from studies before it, as it was when this one was made.
    """

    space: SearchSpace
    objectives: Sequence[Objective]
    constraints: Sequence[OutcomeConstraint] = ()
    context: Sequence[Parameter] = ()
    seed: Whole = 0
    earlier: Sequence[EarlierStudy] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "objectives", tuple(self.objectives))
        object.__setattr__(self, "constraints", tuple(self.constraints))
        object.__setattr__(self, "context", tuple(self.context))
        check_declared(self.space, self.context)
        object.__setattr__(self, "earlier", tuple(self.earlier))
        check_earlier(self.space, self.earlier)
        if not 1 <= len(self.objectives) <= MAX_OBJECTIVES:
            raise InvalidProblem(
                f"expected 1 to {MAX_OBJECTIVES} objectives, got {len(self.objectives)}",
                at=("objectives",),
            )
        if len(self.constraints) > MAX_CONSTRAINTS:
            raise InvalidProblem(
                f"expected at most {MAX_CONSTRAINTS} constraints, got {len(self.constraints)}",
                at=("constraints",),
            )
        if not 0 <= self.seed < 2**63:
            raise InvalidProblem(f"seed: expected 0 <= seed < 2**63, got {self.seed}", at=("seed",))
        metrics = [objective.metric for objective in self.objectives]
        for place, metric in enumerate(metrics):
            if metric in metrics[:place]:
                at = ("objectives", place, "metric")
                raise InvalidProblem(f"objective {metric!r} is given twice", at=at)
        if len(metrics) > 1 and any(objective.noisy for objective in self.objectives):
            raise InvalidProblem(
                "noisy says how the best trial is chosen: with several objectives there is none",
                at=("objectives", [o.noisy for o in self.objectives].index(True), "noisy"),
            )
        if any(objective.gradients for objective in self.objectives):
            self._check_gradients()
        if any(o.by == "preference" for o in self.objectives):
            self._check_preference()

    def _check_gradients(self) -> None:
        if len(self.objectives) > 1:
            reason = "gradients are told of a study's only objective"
            raise InvalidProblem(reason, at=("objectives",))
        if not any(isinstance(p, FloatParameter) for p in self.space.parameters):
            raise InvalidProblem(
                "gradients are told with respect to float parameters, and the space has none",
                at=("objectives", 0, "gradients"),
            )

    def _check_preference(self) -> None:
        if len(self.objectives) > 1 or self.constraints:
            raise InvalidProblem(
                "a preference is a study's only objective, without constraints on outcomes",
                at=("constraints",) if self.constraints else ("objectives",),
            )
        if self.context or self.earlier:
            raise InvalidProblem(
                "preferences are learned without a context and without earlier studies",
                at=("context",) if self.context else ("objectives",),
            )

    @property
    def by_preference(self) -> bool:
        """Whether answers of a person count, and no metric."""
        return self.objectives[0].by == "preference"

    @property
    def has_gradients(self) -> bool:
        """Whether the objective's derivatives are told with it."""
        return self.objectives[0].gradients


def check_metric_name(name: str) -> None:
    """Raise InvalidProblem unless the name can name a metric."""
    if not NAME.fullmatch(name) or name != name.strip():
        raise InvalidProblem(
            f"a metric name needs 1 to 128 printable characters, no space at the ends, "
            f"got {name!r:.80}",
            at=("metric",),
        )
