"""What is given with an ask rather than searched: the data set, the device, the task.

A context is a value for each of a problem's context parameters.  It is stored with the trial, and
what was tried in one context says something about the others.
"""

from collections.abc import Sequence

from search.errors import InvalidConfig, InvalidProblem
from search.parameters import Parameter, has_belief
from search.space import SearchSpace
from search.values import Config, Value, canonical_json

MAX_CONTEXT = 20  # parameters


def check_declared(space: SearchSpace, context: Sequence[Parameter]) -> None:
    """Raise InvalidProblem unless these parameters can stand beside the space's as a context."""
    if len(context) > MAX_CONTEXT:
        raise InvalidProblem(f"expected at most {MAX_CONTEXT} in a context, got {len(context)}")
    known = {parameter.name for parameter in space.parameters}
    for parameter in context:
        name = parameter.name
        if name in known:
            raise InvalidProblem(f"context: {name!r} is the name of another parameter already")
        if parameter.when:
            raise InvalidProblem(f"context: {name!r} is given with every ask: it has no conditions")
        if parameter.default is not None:
            raise InvalidProblem(f"context: {name!r} is given with every ask: it has no default")
        if has_belief(parameter):
            raise InvalidProblem(f"context: {name!r} is given with every ask: it takes no prior")
        known.add(name)


def check_given(parameters: Sequence[Parameter], given: Config) -> dict[str, Value]:
    """The context with each value as its parameter holds it, in their order.

    Raises InvalidConfig when one is missing, out of range, or unknown.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            message = f"{name!r:.80} is not a parameter of this study's context"
            raise InvalidConfig(message, parameter=name)
    for name in known:
        if name not in given:
            raise InvalidConfig(f"{name}: expected a value, got none", parameter=name)
    return {name: parameter.check(given[name]) for name, parameter in known.items()}


def same_context(a: Config, b: Config) -> bool:
    """Whether two checked contexts are one; 1 and true are not."""
    return a == b and canonical_json(a) == canonical_json(b)
