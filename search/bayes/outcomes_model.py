"""One Gaussian process for each metric of a study, and what is remembered of their fits.

The metrics are taken for independent given the config.  Each model learns from the trials that have
its metric; hyperparameters are fitted, polished and kept by refits.py, a memo for each metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from search.bayes import warm
from search.bayes.anchored import Observed
from search.bayes.model import build, fit
from search.encoding import Cube
from search.outcomes import Lesson
from search.searcher import History, Memo
from search.targets import telling
from search.units import Units
from search.values import JSON

VERSION = 20
# A model is solved against at every candidate, and there are several.
FIT_POINTS, MODEL_POINTS = 150, 500
FULLY_FITTED = 4  # metrics whose fits get all the evaluations; more share as many


@dataclass(frozen=True, slots=True)
class Surface:
    """The model of one metric: of -y, so that higher is better, y as its units have it."""

    observed: Observed
    units: Units
    last: warm.Last
    seen: int

    def loss(self, utility: float) -> float:
        """The loss that a prediction stands for."""
        return self.units.loss(-utility)


def learn(
    cube: Cube,
    history: History,
    name: str,
    *,
    taught: Sequence[Lesson],
    evaluations: int,
    rng: np.random.Generator,
) -> Surface:
    """The model of one metric, at most MODEL_POINTS of what was taught in it."""
    places = telling([lesson.loss for lesson in taught], MODEL_POINTS, rng)
    kept = [taught[place] for place in places]
    units = Units.of([lesson.loss for lesson in kept])
    y = units.y(np.array([lesson.loss for lesson in kept]))
    y = np.where(np.isfinite(y), y, 0.0)
    X = torch.from_numpy(cube.features(cube.encode(lesson.config for lesson in kept)))
    todo = warm.plan_fit(
        replace(history, memo=_part(history.memo, name)), len(cube.free), len(taught), evaluations
    )
    at, target = todo.starts[0], torch.from_numpy(-y)
    if todo.evaluations:
        some = telling(y.tolist(), FIT_POINTS, rng)
        at = fit(X[some], target[some], cube.owners, todo.starts, todo.evaluations)
    last = warm.Last(at, todo.polished, todo.sought)
    return Surface(Observed(build(X, target, cube.owners, at)), units, last, len(kept))


def evaluations_each(evaluations: int, metrics: int) -> int:
    """How often each metric's likelihood may be evaluated."""
    return max(10, evaluations * FULLY_FITTED // max(FULLY_FITTED, metrics))


def write(surfaces: dict[str, Surface]) -> Memo:
    """The memo of all of them."""
    data: dict[str, JSON] = {name: warm.write(s.last).data for name, s in surfaces.items()}
    return Memo(version=VERSION, data=data)


def _part(memo: Memo | None, name: str) -> Memo | None:
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return None
    return Memo(version=warm.VERSION, data=memo.data.get(name))
