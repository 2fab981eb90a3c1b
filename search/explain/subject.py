"""What an explanation may be of."""

from typing import Literal

from search.problem import Problem


def goals_of(problem: Problem) -> dict[str, Literal["minimize", "maximize"]]:
    """Which way each metric should go that a constraint or an objective names."""
    goals: dict[str, Literal["minimize", "maximize"]] = {
        constraint.metric: "minimize" if constraint.at_most is not None else "maximize"
        for constraint in problem.constraints
    }
    return goals | {objective.metric: objective.goal for objective in problem.objectives}
