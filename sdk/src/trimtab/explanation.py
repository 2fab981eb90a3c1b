"""What a study's results say: which parameters matter and how, and how far to trust that."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from trimtab.errors import MissingPackage
from trimtab.models import Value, Wire

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

Part: TypeAlias = Literal["importance", "dependence", "points"]


class Importance(Wire):
    """How much depends on one parameter.

    `share` is its part of what sets the best trials apart (PED-ANOVA, on `share_trials`); of the
    variance of the model's mean (on `model_trials`), `first_order` is the part that knowing it
    explains and `total` the part that is left when all others are known.  None: too few trials, or
    no model.
    """

    parameter: str
    share: float | None = None
    share_trials: int = 0
    share_best: int = 0
    first_order: float | None = None
    total: float | None = None
    model_trials: int = 0


class Dependence(Wire):
    """The metric along one parameter, averaged over `configs` values of the others.

    Of a permutation, there is one for each `item`, and the values are its positions, from 1 on.
    """

    parameter: str
    item: str | None = None
    values: list[Value]
    mean: list[float]
    sd: list[float]
    configs: int


class PairDependence(Wire):
    """The metric along two parameters: mean[i][k] at rows[i] and columns[k]."""

    row_parameter: str
    column_parameter: str
    rows: list[Value]
    columns: list[Value]
    mean: list[list[float | None]]
    configs: int


class LeftOut(Wire):
    """A trial as measured, and as predicted from all of the others."""

    trial: int
    measured: float
    predicted: float
    sd: float
    residual: float


class Diagnostics(Wire):
    """How well the model predicts each trial from the others; `coverage` is of 90% intervals."""

    trials: int
    r_squared: float
    rank_correlation: float
    coverage: float
    warning: str | None = None
    points: list[LeftOut]


class Answers(Wire):
    """How well the model tells which of two trials is preferred, from the other answers.

    `foretold` is the share of the `answers` that it gets right.
    """

    answers: int
    foretold: float
    warning: str | None = None


class Edge(Wire):
    """A bound at which the best trials crowd: `near` of the best `of`."""

    parameter: str
    bound: str
    value: Value
    near: int
    of: int
    chance: float
    message: str


class Explanation(Wire):
    """An explanation of one metric; print it for a table.

    It has seen `seen` of the `finished` results: trials that ended, and answers.  `warnings` are
    sentences: a poor model, bounds to widen.  `because` says why there is no model, if there is
    none.  In a study by preference the metric is a utility less that of the best so far, and
    `answers` stands in place of `diagnostics`.
    """

    metric: str
    goal: str
    trials: int
    measured: int
    importance: tuple[Importance, ...] = ()
    dependence: tuple[Dependence, ...] = ()
    pair: PairDependence | None = None
    diagnostics: Diagnostics | None = None
    answers: Answers | None = None
    edges: tuple[Edge, ...] = ()
    warnings: tuple[str, ...] = ()
    because: str | None = None
    seen: int = 0
    finished: int = 0

    def to_pandas(self, part: Part = "importance") -> "pd.DataFrame":
        """A part as a table: importance by parameter, dependence along each, points left out.

        Needs pandas: pip install 'trimtab[pandas]'.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingPackage("to_pandas needs pandas: pip install 'trimtab[pandas]'") from error
        return pd.DataFrame(self._rows(part))

    def _rows(self, part: Part) -> list[dict[str, Any]]:
        if part == "importance":
            return [one.model_dump() for one in self.importance]
        if part == "points":
            return (
                [point.model_dump() for point in self.diagnostics.points]
                if self.diagnostics
                else []
            )
        if part == "dependence":
            return [
                {
                    "parameter": curve.parameter,
                    "item": curve.item,
                    "value": value,
                    "mean": mean,
                    "sd": sd,
                }
                for curve in self.dependence
                for value, mean, sd in zip(curve.values, curve.mean, curve.sd, strict=True)
            ]
        raise ValueError(f"part: expected importance, dependence or points, got {part!r}")

    def __rich__(self) -> "RenderableType":
        from trimtab._explained import render

        return render(self)

    def __str__(self) -> str:
        from trimtab._explained import as_text

        return as_text(self)


class StudyExplanation(Wire):
    """An explanation as it travels."""

    seen: int
    finished: int
    explanation: Explanation

    def read(self) -> Explanation:
        """The explanation, which knows what it has seen."""
        known = {"seen": self.seen, "finished": self.finished}
        return self.explanation.model_copy(update=known)
