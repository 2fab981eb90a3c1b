"""Taking a snapshot of an earlier study's results for a new study."""

from collections.abc import Sequence
from random import Random

from search.earlier import (
    MAX_POINTS,
    MIN_POINTS,
    EarlierStudy,
    shared_parameters,
    translated,
)
from search.errors import InvalidProblem
from search.outcomes import lessons
from search.problem import Objective, Problem
from search.trial import Trial
from search.values import Value


def snapshot(name: str, earlier: Problem, trials: Sequence[Trial], new: Problem) -> EarlierStudy:
    """What the trials of an earlier problem teach the new one.

    The new problem's first objective must be an objective of the earlier one: the same metric with
    the same goal.  Of more than MAX_POINTS points the best third is kept and others are drawn with
    the new problem's seed.  Raises InvalidProblem, with the reason, when there is nothing to learn.
    """
    objective = _shared_objective(name, earlier, new.objectives[0])
    parameters = shared_parameters(earlier.space, new.space)
    if not parameters:
        raise InvalidProblem(f"{name} shares no parameter with this study")
    told = Problem(space=earlier.space, objectives=[objective])
    found = [
        (config, lesson.loss)
        for lesson in lessons(told, trials)
        if (config := translated(new.space, parameters, lesson.config)) is not None
    ]
    if len(found) < MIN_POINTS:
        raise InvalidProblem(
            f"{name} has {len(found)} finished trials with a result and a config that is legal "
            f"here; {MIN_POINTS} are needed"
        )
    kept = _telling(found, new.seed)
    return EarlierStudy(
        name=name,
        parameters=parameters,
        configs=[config for config, _ in kept],
        losses=[loss for _, loss in kept],
    )


def _shared_objective(name: str, earlier: Problem, wanted: Objective) -> Objective:
    for objective in earlier.objectives:
        if objective.metric == wanted.metric and objective.goal == wanted.goal:
            return objective
    raise InvalidProblem(f"{name} does not {wanted.goal} {wanted.metric!r}")


def _telling(
    found: Sequence[tuple[dict[str, Value], float]], seed: int
) -> list[tuple[dict[str, Value], float]]:
    if len(found) <= MAX_POINTS:
        return list(found)
    order = sorted(range(len(found)), key=lambda place: found[place][1])
    third = MAX_POINTS // 3
    drawn = Random(seed).sample(order[third:], MAX_POINTS - third)
    return [found[place] for place in sorted([*order[:third], *drawn])]
