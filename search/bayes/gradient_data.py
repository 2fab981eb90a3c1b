"""What trials taught of the loss and of its derivatives, on the scale of a model.

    y = (w(loss) - centre) / scale,    w(loss) = m + s asinh((loss - m) / s) above the median m,

s the root mean square of the good half about m.  Good losses keep their scale, bad ones grow as
their logarithm only, and w has a derivative everywhere, which a warp by rank has not:

    dy / du_j = w'(loss) / scale * dloss / dx_j * dx_j / du_j

with x_j the parameter's value and u_j its coordinate in the unit cube.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from search.encoding import Cube
from search.outcomes import Lesson
from search.parameters import FloatParameter
from search.problem import Problem
from search.scales import Floats, stretch
from search.targets import LIMIT, middle_and_spread, telling
from search.trial import Trial, TrialState

STEEPEST = 1e3  # deviations of the losses over a parameter's whole range; a cliff teaches nothing


@dataclass(frozen=True, slots=True)
class Softened:
    """Losses, warped and standardised; all of it can be differentiated and undone."""

    middle: float
    spread: float  # 0: no warp
    centre: float
    scale: float

    @classmethod
    def of(cls, losses: Sequence[float], slopes: Sequence[Mapping[int, float]]) -> Softened:
        """The scale of these losses; where all are equal that of their derivatives by u."""
        raw = _clipped(losses)
        middle, spread = middle_and_spread(raw)
        bare = cls(middle, spread, 0.0, 1.0)
        warped = bare.y(losses)
        centre, scale = float(np.mean(warped)), float(np.std(warped))
        floor = 1e-12 * max(abs(centre), float(np.max(np.abs(warped))))
        if not scale > floor:
            # A linear function with these slopes would vary by so much over the cube.
            found = [sum(g * g for g in each.values()) / 12 for each in slopes if each]
            implied = math.sqrt(np.mean(found)) if found else 0.0
            scale = implied if floor < implied < math.inf else 1.0
        return cls(middle, spread, centre, scale)

    def y(self, losses: Sequence[float] | Floats) -> Floats:
        """Losses on the model's scale."""
        raw = _clipped(losses)
        if self.spread > 0:
            far = np.maximum(raw - self.middle, 0.0) / self.spread
            raw = np.minimum(raw, self.middle) + self.spread * np.arcsinh(far)
        found: Floats = (raw - self.centre) / self.scale
        return found

    def rate(self, loss: float) -> float:
        """By how much y grows with the loss there."""
        far = max(loss - self.middle, 0.0) / self.spread if self.spread > 0 else 0.0
        return 1 / (self.scale * math.hypot(1.0, far))

    def loss(self, y: float) -> float:
        """The loss that a prediction stands for."""
        warped = self.centre + y * self.scale
        if self.spread > 0 and warped > self.middle:
            far = min((warped - self.middle) / self.spread, 700.0)
            warped = self.middle + self.spread * math.sinh(far)
        return min(max(warped, -LIMIT), LIMIT)


@dataclass(frozen=True, slots=True)
class Taught:
    """The arrays of a model: a value at every point, and derivatives at some.

    `at` and `along` are the places of a derivative's point and of its column of X; `slopes` are
    derivatives of y with respect to that column.
    """

    X: Floats  # n x c
    y: Floats  # n
    at: npt.NDArray[np.intp]
    along: npt.NDArray[np.intp]
    slopes: Floats

    @property
    def rows(self) -> int:
        """How many numbers are known."""
        return len(self.y) + len(self.slopes)

    def without_slopes(self) -> Taught:
        """The values alone."""
        none = np.empty(0, dtype=np.intp)
        return Taught(self.X, self.y, none, none, np.empty(0))

    def turned(self) -> Taught:
        """The same of the negated function: higher is better."""
        return replace(self, y=-self.y, slopes=-self.slopes)

    def some(self, points: int, rows: int, rng: np.random.Generator) -> Taught:
        """At most so many points, and of their derivatives as many as make so many rows.

        Of the points, and then of those with derivatives, the third with the lowest losses is kept
        and the others are drawn; all derivatives of a point stay together.
        """
        kept = np.array(telling(self.y.tolist(), points, rng))
        having, counts = np.unique(self.at[np.isin(self.at, kept)], return_counts=True)
        if len(having):
            most = max(1, (rows - len(kept)) // int(counts.max()))
            having = having[telling(self.y[having].tolist(), most, rng)]
        chosen = np.isin(self.at, having)
        at = np.searchsorted(kept, self.at[chosen])
        return Taught(self.X[kept], self.y[kept], at, self.along[chosen], self.slopes[chosen])


def taught_by(
    problem: Problem, trials: Sequence[Trial], taught: Sequence[Lesson], cube: Cube
) -> tuple[Taught, Softened]:
    """The lessons as arrays, with the derivatives of trials that completed with a finite loss.

    A loss that was imputed or credited has no derivatives.
    """
    by_number = {trial.number: trial for trial in trials}
    raw = [dict(_slopes(problem, by_number[lesson.number], lesson, cube)) for lesson in taught]
    losses = [lesson.loss for lesson in taught]
    units = Softened.of(losses, raw)
    found = [
        (place, column, slope * units.rate(lesson.loss))
        for place, (lesson, slopes) in enumerate(zip(taught, raw, strict=True))
        for column, slope in slopes.items()
    ]
    gentle = [each for each in found if abs(each[2]) <= STEEPEST]
    at, along, slopes = zip(*gentle, strict=True) if gentle else ((), (), ())
    X = cube.features(cube.encode(lesson.config for lesson in taught))
    known = Taught(
        X,
        units.y(losses),
        np.array(at, dtype=np.intp),
        np.array(along, dtype=np.intp),
        np.array(slopes, dtype=np.float64),
    )
    return known, units


def _slopes(
    problem: Problem, trial: Trial, lesson: Lesson, cube: Cube
) -> Iterator[tuple[int, float]]:
    """The columns of the features, and the derivative of the loss with respect to each."""
    if trial.state is not TrialState.COMPLETED or not lesson.measured:
        return
    sign = 1.0 if problem.objectives[0].goal == "minimize" else -1.0
    for column, place in enumerate(cube.owners):
        parameter = problem.space.parameters[cube.free[place]]
        value = trial.config.get(parameter.name)
        if isinstance(parameter, FloatParameter) and isinstance(value, int | float):
            slope = trial.gradients.get(parameter.name, math.nan)
            by_unit = sign * slope * stretch(parameter, value)
            if abs(by_unit) <= LIMIT:
                yield column, by_unit


def _clipped(losses: Sequence[float] | Floats) -> Floats:
    return np.clip(np.asarray(losses, dtype=np.float64), -LIMIT, LIMIT)
