"""What a study is after, and when it has had enough."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from trimtab.errors import InvalidSpec
from trimtab.models import BudgetInfo

Method: TypeAlias = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and which way it should go: made by Minimize and Maximize."""

    metric: str
    goal: Literal["minimize", "maximize"]
    read: Literal["last", "best"] = "last"
    reference: float | None = None
    noisy: bool = False
    gradients: bool = False

    def to_json(self) -> dict[str, Any]:
        """The objective as it travels."""
        body = {
            "metric": _metric(self.metric),
            "goal": self.goal,
            "read": self.read,
            "reference": _finite(self.metric, self.reference),
        }
        new = {"noisy": self.noisy, "gradients": self.gradients}  # not every server knows them
        return body | {name: True for name, wanted in new.items() if wanted}


def Minimize(  # noqa: N802 - reads as what it is
    metric: str,
    *,
    read: Literal["last", "best"] = "last",
    reference: float | None = None,
    noisy: bool = False,
    gradients: bool = False,
) -> Objective:
    """Make the metric small.

    `read` says which of a trial's measurements counts: the last step's, or the best over its
    steps.  With several objectives, `reference` is the worst value worth having.  `noisy` says that
    the same config gives another value each time: `study.best` is then the trial of which a model
    expects most, not the luckiest one.  `gradients` says that trials are told with the metric's
    derivatives with respect to float parameters: `trial.complete(loss=0.3, gradients={"lr": -4})`.
    """
    return Objective(metric, "minimize", read, reference, noisy, gradients)


def Maximize(  # noqa: N802
    metric: str,
    *,
    read: Literal["last", "best"] = "last",
    reference: float | None = None,
    noisy: bool = False,
    gradients: bool = False,
) -> Objective:
    """Make the metric large; the arguments are those of Minimize."""
    return Objective(metric, "maximize", read, reference, noisy, gradients)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A metric that must end within a bound: Constraint("latency", at_most=20)."""

    metric: str
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        _metric(self.metric)
        for bound in (self.at_most, self.at_least):
            _finite(self.metric, bound)
        if self.at_most is None and self.at_least is None:
            raise InvalidSpec(f"constraint on {self.metric!r}: give at_most or at_least")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise InvalidSpec(f"constraint on {self.metric!r}: at_least exceeds at_most")

    def to_json(self) -> dict[str, Any]:
        """The constraint as it travels."""
        return {"metric": self.metric, "at_most": self.at_most, "at_least": self.at_least}


@dataclass(frozen=True, slots=True)
class Budget:
    """When a study is complete: any of these ends it, and none of them means never.

    `trials` counts trials, `hours` run from the first trial's start, `target` is the measured value
    of the first objective that is good enough.  With `min_expected_gain`, in units of the
    objective, the study ends when the model expects less of every config, `patience` times in a row
    with new results each (5 if it is left out).
    """

    trials: int | None = None
    hours: float | None = None
    target: float | None = None
    min_expected_gain: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.trials is not None and (
            isinstance(self.trials, bool) or not isinstance(self.trials, int) or self.trials < 1
        ):
            raise InvalidSpec(f"budget: expected trials >= 1, got {self.trials!r}")
        if _finite("budget", self.hours) is not None and not float(self.hours or 0) > 0:
            raise InvalidSpec(f"budget: expected hours > 0, got {self.hours!r}")
        _finite("budget", self.target)
        gain = _finite("budget", self.min_expected_gain)
        if gain is not None and gain < 0:
            raise InvalidSpec(f"budget: expected min_expected_gain >= 0, got {gain!r}")
        if self.patience is not None and (gain is None or self.patience < 1):
            raise InvalidSpec("budget: patience is at least 1, and goes with min_expected_gain")

    def to_json(self) -> dict[str, Any]:
        """The budget as it travels."""
        body = {"trials": self.trials, "hours": self.hours, "target": self.target}
        if self.min_expected_gain is not None:  # which a server of before does not know
            body |= {"min_expected_gain": self.min_expected_gain, "patience": self.patience}
        return body

    @classmethod
    def of(cls, info: BudgetInfo) -> "Budget":
        """The budget that the server speaks of."""
        return cls(info.trials, info.hours, info.target, info.min_expected_gain, info.patience)


def objectives_to_json(
    objectives: Sequence[Objective],
    maximize: str | None,
    minimize: str | None,
    prefer: str | None = None,
) -> list[dict[str, Any]]:
    """The objectives, from whichever of the four ways of giving them was used."""
    given = [bool(objectives), maximize is not None, minimize is not None, prefer is not None]
    if sum(given) != 1:
        raise InvalidSpec(
            'give one of maximize="metric", minimize="metric", prefer="taste" '
            'or objectives=[tt.Maximize("metric"), ...]'
        )
    if prefer is not None:
        return [{"metric": _metric(prefer), "goal": "maximize", "by": "preference"}]
    if maximize is not None:
        objectives = [Maximize(maximize)]
    elif minimize is not None:
        objectives = [Minimize(minimize)]
    for objective in objectives:
        if not isinstance(objective, Objective):
            raise InvalidSpec(f"objectives: expected tt.Minimize or tt.Maximize, got {objective!r}")
    return [objective.to_json() for objective in objectives]


def method_to_json(what: str, method: Method) -> dict[str, Any]:
    """A searcher or scheduler, given by its name or as {"kind": name, ...settings}."""
    if isinstance(method, str) and method:
        return {"kind": method}
    if isinstance(method, Mapping) and isinstance(method.get("kind"), str):
        return dict(method)
    raise InvalidSpec(f'{what}: expected a name or {{"kind": name, ...settings}}, got {method!r}')


def _metric(name: object) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= 128 or name != name.strip():
        raise InvalidSpec(
            f"a metric name is 1 to 128 characters without space at the ends, got {name!r}"
        )
    return name


def _finite(what: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidSpec(f"{what}: expected a finite number, got {value!r}")
    return value
