"""Bounds at which the best trials crowd: the optimum may lie beyond.

The rule: of the best third of the trials with the parameter, at most BEST of them, so many lie
within NEAR of a bound that trials spread evenly over the parameter's scale would be as crowded with
probability FALSE_ALARMS at most, at any of the bounds that are looked at.  A level at the bound
counts as near it, however wide its cell.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from search.encoding import Cube
from search.explain.explanation import Edge
from search.parameters import ChoiceParameter, Parameter, PermutationParameter
from search.scales import Floats, Scale
from search.values import Value

BEST, FEWEST_BEST = 8, 4
NEAR = 0.05
FALSE_ALARMS = 0.01
FINE = 4000


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a scale: which places are near it, and the share of the scale that they take."""

    name: str
    value: Value
    low: float
    high: float
    share: float
    alone: bool  # nothing but the bound itself is near it

    def near(self, u: Floats) -> int:
        """How many of the places are near."""
        return int(np.sum((u >= self.low) & (u <= self.high)))

    def chance(self, near: int, best: int) -> float:
        """Of as many among so many that are spread evenly over the scale."""
        return float(binom.sf(near - 1, best, self.share))


def edges(cube: Cube, rows: Floats, losses: Floats) -> list[Edge]:
    """The bounds to widen, by parameter, from snapped rows and their finite losses."""
    active = cube.active(rows)
    looked = [j for j in cube.free if _has_bounds(cube, j)]
    found: list[Edge] = []
    for j in looked:
        u = rows[active[:, j], j]
        best = min(BEST, len(u) // 3)
        if best < FEWEST_BEST:
            continue
        top = u[np.argsort(losses[active[:, j]], kind="stable")[:best]]
        for bound in _bounds(cube.scales[j]):
            near = bound.near(top)
            if bound.chance(near, best) * 2 * len(looked) <= FALSE_ALARMS:
                found.append(_edge(cube.space.parameters[j], bound, near, best))
    return found


def _has_bounds(cube: Cube, j: int) -> bool:
    parameter = cube.space.parameters[j]
    if isinstance(parameter, PermutationParameter):
        return False
    return not isinstance(parameter, ChoiceParameter) or bool(parameter.ordered)


def _bounds(scale: Scale) -> Iterator[Bound]:
    places = scale.snap((np.arange(FINE) + 0.5) / FINE)
    low, high = float(places.min()), float(places.max())
    if scale.count is None:
        low, high = 0.0, 1.0
    below, above = max(low, NEAR), min(high, 1.0 - NEAR)
    at = places[places <= below], places[places >= above]
    share = [len(one) / FINE for one in at]
    alone = [scale.count is not None and len(np.unique(one)) == 1 for one in at]
    yield Bound("lower", scale.value(low), 0.0, below, share[0], alone[0])
    yield Bound("upper", scale.value(high), above, 1.0, share[1], alone[1])


def _edge(parameter: Parameter, bound: Bound, near: int, best: int) -> Edge:
    choice, value = isinstance(parameter, ChoiceParameter), bound.value
    ends = {"lower": "first choice", "upper": "last choice"}
    where = f"the {ends[bound.name] if choice else f'{bound.name} bound'} "
    where += f"{value:g}" if isinstance(value, float) else str(value)
    distance = "at" if bound.alone else f"within {NEAR:.0%} of"
    advice = "more choices beyond it" if choice else "widening"
    return Edge(
        parameter=parameter.name,
        bound=bound.name,
        value=value,
        near=near,
        of=best,
        chance=bound.chance(near, best),
        message=f"{parameter.name}: {near} of the best {best} trials are {distance} {where}: "
        f"consider {advice}",
    )
