"""Derivatives of the objective that are told with a trial: which there can be.

They are of the objective's value as it is told, in its own sign, with respect to the parameter's
value, in its own units: whoever tells them knows nothing of logarithmic scales.
"""

import math
from collections.abc import Mapping

from search.errors import InvalidConfig
from search.parameters import FloatParameter
from search.problem import Problem
from search.values import Config, is_number


def differentiable(problem: Problem) -> list[str]:
    """The names of the parameters with respect to which derivatives are told."""
    if not problem.has_gradients:
        return []
    return [p.name for p in problem.space.parameters if isinstance(p, FloatParameter)]


def check_gradients(problem: Problem, config: Config, gradients: Mapping[str, float]) -> None:
    """Raise InvalidConfig, with the parameter, for a derivative that the config cannot have."""
    if not gradients:
        return
    if not problem.has_gradients:
        metric = problem.objectives[0].metric
        raise InvalidConfig(f"the study does not say that {metric!r} has gradients")
    kinds = {parameter.name: parameter.kind for parameter in problem.space.parameters}
    for name, slope in gradients.items():
        if name not in kinds:
            raise _refused(name, f"{name!r:.80} is not a parameter of this study")
        if kinds[name] != "float":
            kind = kinds[name]
            raise _refused(name, f"only float parameters have derivatives, and this is: {kind}")
        if name not in config:
            raise _refused(name, "this parameter is not active in the trial's config")
        if not is_number(slope) or not math.isfinite(slope):
            raise _refused(name, f"expected a finite number, got {slope!r:.80}")


def _refused(name: str, message: str) -> InvalidConfig:
    return InvalidConfig(message, parameter=name)
