"""What is given with an ask rather than searched: the data set, the device, the task.

A context is a value for each of a problem's context parameters.  It is stored with the trial, and
what was tried in one context says something about the others.
"""

from collections.abc import Iterator, Sequence

from search.errors import InvalidConfig, InvalidProblem
from search.parameters import ChoiceParameter, Parameter, has_belief
from search.space import SearchSpace
from search.values import Config, Value, canonical_json

MAX_CONTEXT = 20  # parameters


def check_declared(space: SearchSpace, context: Sequence[Parameter]) -> None:
    """Raise InvalidProblem unless these parameters can stand beside the space's as a context."""
    if len(context) > MAX_CONTEXT:
        reason = f"expected at most {MAX_CONTEXT} in a context, got {len(context)}"
        raise InvalidProblem(reason, at=("context",))
    known = {parameter.name for parameter in space.parameters}
    for place, parameter in enumerate(context):
        name = parameter.name
        if name in known:
            reason = f"context: {name!r} is the name of another parameter already"
            raise InvalidProblem(reason, at=("context", place, "name"))
        for field, reason in _unfit(parameter):
            given = f"context: {name!r} is given with every ask: {reason}"
            raise InvalidProblem(given, at=("context", place, field))
        known.add(name)


def _unfit(parameter: Parameter) -> Iterator[tuple[str, str]]:
    """What a parameter of the context has, by field, that only one of the space can have."""
    if parameter.when:
        yield "when", "it has no conditions"
    if parameter.default is not None:
        yield "default", "it has no default"
    if has_belief(parameter):
        field = "weights" if isinstance(parameter, ChoiceParameter) else "prior"
        yield field, "it takes no prior"


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
