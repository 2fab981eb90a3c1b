"""What a study may ask of Bayesian optimisation besides a good result: cheap, and robust."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from search.errors import InvalidSettings
from search.problem import check_metric_name
from search.settings import check_range
from search.values import Real, Whole, Wire

Acquisition: TypeAlias = Literal["auto", "jes", "kg", "log_nehvi", "log_nei", "mes", "parego"]

MAX_FOR_HYPERVOLUME = 4  # objectives; the boxes under a front become too many beyond


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cost(Wire):
    """What a trial costs: a metric that trials report, or "seconds", the time they took.

    The acquisition is divided by the predicted cost to the `power`.  With `cooling`, the power
    falls evenly to 0 while the first so many trials end: cheap trials first, the best ones at last.
    """

    metric: str = "seconds"
    power: Real = 1.0
    cooling: Whole | None = None

    def __post_init__(self) -> None:
        check_metric_name(self.metric)
        check_range("power", self.power, 0, 4)
        if self.cooling is not None:
            check_range("cooling", self.cooling, 1, 1_000_000)

    def power_after(self, ended: int) -> float:
        """The power once so many trials have ended."""
        left = 1.0 if self.cooling is None else max(0.0, 1 - ended / self.cooling)
        return self.power * left


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Risk(Wire):
    """What counts of the outcomes that noise on a config's numbers leads to.

    The mean; the value at risk, which a part `level` of the outcomes are better than; or the
    conditional value at risk, the mean of the worst part 1 - `level`.
    """

    measure: Literal["conditional_value_at_risk", "mean", "value_at_risk"] = "mean"
    level: Real = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InvalidSettings(f"expected between 0 and 1, got {self.level}", at=("level",))
