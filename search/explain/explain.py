"""The explanation of one metric of a study: a pure function of the problem and its trials."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from search.encoding import Cube
from search.explain.caveats import alone, caveats
from search.explain.dependence import MOST_CURVES, affordable, curves, pair
from search.explain.edges import edges
from search.explain.explanation import (
    Answers,
    Dependence,
    Diagnostics,
    Explanation,
    Importance,
    PairDependence,
)
from search.explain.landscape import Landscape
from search.explain.leave_one_out import diagnose
from search.explain.ped_anova import divergences, shares
from search.explain.sobol_indices import Indices, indices, indices_within
from search.explain.sobol_indices import affordable as affordable_samples
from search.explain.spread import Spread
from search.explain.subject import goals_of
from search.explain.surrogate import NoModel, Surrogate, exactly, generator
from search.explain.within import contexts_of, in_company, quantiles
from search.outcomes import Lesson, lessons
from search.preferences import Pair
from search.problem import Objective, Problem
from search.scales import Floats, Permutations
from search.trial import Trial

KERNEL_LIMIT = 50_000_000  # covariances evaluated for the Sobol' indices


def explain(
    problem: Problem,
    trials: Sequence[Trial],
    metric: str | None = None,
    preferences: Sequence[Pair] = (),
) -> Explanation:
    """What the trials say of a metric of the problem's: its first objective by default.

    By preference, what is explained is the utility that the preferences speak for.  Raises KeyError
    for a metric that is neither an objective's nor a constraint's.
    """
    problem = _about(problem, problem.objectives[0].metric if metric is None else metric)
    study = _studied(problem, trials, preferences)
    found = study.described()
    try:
        with exactly():
            return study.modelled(found)
    except NoModel as error:
        return replace(found, because=str(error))


@dataclass(frozen=True, slots=True)
class Studied:
    """A problem of one objective, and what its trials taught."""

    problem: Problem
    cube: Cube
    taught: Sequence[Lesson]
    fit: Callable[[np.random.Generator], "Fitted"]  # raises NoModel

    def described(self) -> Explanation:
        """What needs no model."""
        kept = [lesson for lesson in self.taught if lesson.measured]
        rows = self.cube.snap(self.cube.encode(lesson.config for lesson in kept))
        groups = contexts_of(kept)
        company = in_company(groups)
        rows, losses = rows[company], quantiles(_losses(kept)[company], groups[company])
        crowded = edges(self.cube, rows, losses)
        objective = self.problem.objectives[0]
        return Explanation(
            metric=objective.metric,
            goal=objective.goal,
            trials=len(self.taught),
            measured=len(kept),
            importance=list(_shares(self.cube, rows, losses)),
            edges=crowded,
            warnings=[*alone(company), *(edge.message for edge in crowded)],
        )

    def modelled(self, found: Explanation) -> Explanation:
        """And what does; raises NoModel."""
        rng = generator(self.problem.seed)
        model, check, warned = self.fit(rng)
        spread = Spread(self.cube, int(rng.integers(2**31)))
        sobol = _indices(model, spread, rng)
        order = [self.cube.free[k] for k in np.argsort(-sobol.largest, kind="stable")]
        along, two = _curves(model, spread, order[:MOST_CURVES])
        return replace(
            found,
            importance=_ranked(found.importance, self.cube, sobol, len(model)),
            dependence=along,
            pair=two,
            diagnostics=check if isinstance(check, Diagnostics) else None,
            answers=check if isinstance(check, Answers) else None,
            warnings=[*warned, *found.warnings],
        )


# A model, how well it foretells what it was not given, and what else to beware of.
Fitted: TypeAlias = tuple[Landscape, Diagnostics | Answers | None, Sequence[str]]


def _studied(problem: Problem, trials: Sequence[Trial], preferences: Sequence[Pair]) -> Studied:
    cube = Cube(problem.space)
    if not problem.by_preference:
        taught = lessons(problem, trials)
        return Studied(problem, cube, taught, partial(_measured, problem, taught))
    from search.explain.preferred import Taste, compared  # torch, which metrics do without

    def fit(_: np.random.Generator) -> Fitted:
        taste = Taste.of(problem, trials, preferences)
        check = taste.checked()
        return taste, check, [check.warning] if check.warning else []

    return Studied(problem, cube, compared(trials, preferences), fit)


def _measured(problem: Problem, taught: Sequence[Lesson], rng: np.random.Generator) -> Fitted:
    model = Surrogate.of(problem, taught, rng)
    check = diagnose(model, taught)
    warned = [check.warning] if check and check.warning else []
    return model, check, [*warned, *caveats(taught, model.known.numbers, judged=check is not None)]


def _about(problem: Problem, metric: str) -> Problem:
    """The problem of making this metric good alone."""
    known = {name: Objective(metric=name, goal=goal) for name, goal in goals_of(problem).items()}
    known |= {objective.metric: objective for objective in problem.objectives}
    return replace(problem, objectives=[known[metric]], constraints=())


def _losses(taught: Sequence[Lesson]) -> Floats:
    return np.array([lesson.loss for lesson in taught])


def _shares(cube: Cube, rows: Floats, losses: Floats) -> Iterator[Importance]:
    found = divergences(cube, rows, losses)
    for parameter, one, share in zip(cube.space.parameters, found, shares(found), strict=True):
        yield Importance(
            parameter=parameter.name,
            share=share,
            share_trials=one.trials,
            share_best=one.best,
            first_order=None,
            total=None,
            model_trials=0,
        )


def _indices(model: Landscape, spread: Spread, rng: np.random.Generator) -> Indices:
    """Of the posterior mean, for the parameters with more than one value."""
    cube, free = model.cube, model.cube.free
    samples = affordable_samples(len(free), len(model), KERNEL_LIMIT)
    if spread.region is not None:
        return indices_within(model.mean, spread, free, samples, rng)

    def mean(part: Floats) -> Floats:
        rows = np.full((len(part), cube.width), 0.5)
        rows[:, free] = part
        return model.mean(rows)

    return indices(mean, len(free), samples, rng)


def _ranked(
    found: Sequence[Importance], cube: Cube, sobol: Indices, trials: int
) -> list[Importance]:
    """With the indices, the most important first; a parameter of one value has none of it."""
    place = {j: k for k, j in enumerate(cube.free)}
    whole = [
        replace(
            one,
            first_order=float(sobol.first[place[j]]) if j in place else 0.0,
            total=float(sobol.total[place[j]]) if j in place else 0.0,
            model_trials=trials,
        )
        for j, one in enumerate(found)
    ]
    return sorted(whole, key=lambda one: -max(one.total or 0.0, one.first_order or 0.0))


def _curves(
    model: Landscape, spread: Spread, order: list[int]
) -> tuple[list[Dependence], PairDependence | None]:
    base = spread.rows(affordable(model, spread, order))
    found = [one for j in order for one in curves(model, spread, base, j)]
    numbers = [j for j in order if not isinstance(model.cube.scales[j], Permutations)]
    return found, pair(model, spread, base, *numbers[:2]) if len(numbers) > 1 else None
