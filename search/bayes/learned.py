"""All that a batch knows of a study with several metrics: its trials, and a model of each metric.

u   n x metrics   outcomes on the scale of the models, higher better
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from search.bayes.feasible import Feasibility, bounds_of
from search.bayes.outcomes_model import Surface, evaluations_each, learn
from search.bayes.spending import COST, cost_lessons
from search.encoding import Cube
from search.metrics import Metric, lessons_of, metrics_of
from search.outcomes import Lesson, feasible
from search.pareto import non_dominated
from search.problem import Problem
from search.scales import Floats
from search.searcher import History

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

MAX_ROWS = 300  # observed configs that are looked at for the best of them


@dataclass(frozen=True, slots=True)
class Learned:
    """The models, and the configs that were measured in every objective.

    `objectives` is how many of the metrics are objectives: they come first.  `met` says which of
    the rows met every constraint when they were measured, `front` which of these no other beats.
    """

    cube: Cube
    metrics: Sequence[Metric]
    surfaces: Sequence[Surface]
    feasibility: Feasibility
    cost: Surface | None
    objectives: int
    rows: Floats
    u: Tensor
    met: Tensor
    front: Tensor

    def predict(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of u at n points, n x metrics each."""
        found = [surface.observed.marginal(X) for surface in self.surfaces]
        return (
            torch.stack([mean for mean, _ in found], dim=-1),
            torch.stack([sd for _, sd in found], dim=-1),
        )

    def believing(self, X: Tensor) -> Learned:
        """As if at these points every metric had come out as is expected there."""
        if not len(X):
            return self
        surfaces = [replace(s, observed=s.observed.believing(X)) for s in self.surfaces]
        return replace(self, surfaces=surfaces)

    def memo_of(self) -> dict[str, Surface]:
        """The models by the name under which their fits are remembered."""
        found = {m.name: s for m, s in zip(self.metrics, self.surfaces, strict=True)}
        return found if self.cost is None else {**found, COST: self.cost}


def lacking(problem: Problem, taught: Sequence[Sequence[Lesson]]) -> str | None:
    """Why there is nothing to model yet; None when there is."""
    for metric, lessons in zip(metrics_of(problem), taught, strict=True):
        if sum(lesson.measured for lesson in lessons) < 2:
            if len(taught) == 1:
                return "fewer than two trials have a finite result"
            return f"fewer than two trials have a finite value of {metric.name!r}"
    return None


def taught_by(history: History) -> list[list[Lesson]]:
    """What the trials teach of each metric."""
    problem = history.problem
    return [lessons_of(metric, problem, history.trials) for metric in metrics_of(problem)]


def learned(
    settings: BoTorch,
    cube: Cube,
    history: History,
    taught: Sequence[Sequence[Lesson]],
    rng: np.random.Generator,
) -> Learned:
    """The models of everything that the trials taught."""
    metrics = metrics_of(history.problem)
    spent = cost_lessons(settings.cost, history.trials)
    each = evaluations_each(settings.fit_evaluations, len(metrics) + bool(spent))
    surfaces = [
        learn(cube, history, metric.name, taught=lessons, evaluations=each, rng=rng)
        for metric, lessons in zip(metrics, taught, strict=True)
    ]
    objectives = len(history.problem.objectives)
    rows, u, met, front = _seen(cube, history, taught[:objectives], surfaces)
    return Learned(
        cube=cube,
        metrics=metrics,
        surfaces=surfaces,
        feasibility=Feasibility(bounds_of(metrics, surfaces)),
        cost=learn(cube, history, COST, taught=spent, evaluations=each, rng=rng) if spent else None,
        objectives=objectives,
        rows=rows,
        u=u,
        met=met,
        front=front,
    )


def _seen(
    cube: Cube,
    history: History,
    taught: Sequence[Sequence[Lesson]],
    surfaces: Sequence[Surface],
) -> tuple[Floats, Tensor, Tensor, Tensor]:
    """The rows measured in every objective, at most MAX_ROWS, the best of them first."""
    measured = [{lesson.number: lesson.loss for lesson in ls if lesson.measured} for ls in taught]
    numbers = [n for n in measured[0] if all(n in found for found in measured)]
    by_number = {trial.number: trial for trial in history.trials}
    u = np.array([[-float(s.units.y(f[n])) for f, s in zip(measured, surfaces, strict=False)]
                  for n in numbers]).reshape(len(numbers), len(measured))  # fmt: skip
    met = np.array([feasible(history.problem, by_number[n]) for n in numbers], bool)
    front = np.zeros(len(numbers), bool)
    front[np.flatnonzero(met)[non_dominated((-u[met]).tolist())]] = True
    order = np.lexsort((-u.mean(axis=1), ~met, ~front))[:MAX_ROWS]
    rows = cube.encode(by_number[numbers[place]].config for place in order)
    return (
        rows,
        torch.from_numpy(u[order]),
        torch.from_numpy(met[order]),
        torch.from_numpy(front[order]),
    )
