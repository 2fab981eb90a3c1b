"""Search spaces, as one writes them down.

    space=[
        tt.Float("lr", 1e-5, 1e-1, log=True, default=1e-3),
        tt.Int("width", 16, 512, log=True),
        tt.Choice("optimizer", ["adamw", "sgd"]),
        tt.Float("momentum", 0.0, 0.99, when={"optimizer": "sgd"}),
        tt.Permutation("augmentations", ["flip", "crop", "blur"]),
    ]

A parameter with `when` is active only while each parameter named there has the value, or one of
the values, given; while inactive it is absent from the config.  Where good values are expected is
said with `prior=tt.Normal(mean, sd)` and `weights=[...]`, and a sum of values that must stay within
bounds stands among the parameters: `tt.Linear({"a": 1, "b": 1}, at_most=1)`.  Each of these returns
what travels to the server; what cannot be meant raises InvalidSpec here already.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from trimtab.belief import Normal, prior_to_json, weights_to_json
from trimtab.errors import InvalidSpec
from trimtab.linear import Linear
from trimtab.models import Scalar

Part: TypeAlias = "Parameter | Linear"
When: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]
MOST_ITEMS = 12  # of a permutation
LARGEST_INT = 2**53  # the integers that a JSON number holds exactly


class Parameter:
    """One parameter of a search space, as it travels to the server."""

    __slots__ = ("_wire",)

    def __init__(self, kind: str, name: str, when: When | None, **fields: Any) -> None:
        if not isinstance(name, str) or not 1 <= len(name) <= 128 or name != name.strip():
            raise InvalidSpec(
                f"a parameter name is 1 to 128 characters without space at the ends, got {name!r}"
            )
        self._wire = {"kind": kind, "name": name, **fields, "when": _conditions(name, when)}

    @property
    def name(self) -> str:
        """What it is called in a config."""
        return str(self._wire["name"])

    @property
    def parents(self) -> list[str]:
        """The parameters that its conditions look at."""
        return [condition["parameter"] for condition in self._wire["when"]]

    def to_json(self) -> dict[str, Any]:
        """The parameter as it travels."""
        return dict(self._wire)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameter) and self._wire == other._wire

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Parameter({self._wire})"


def Float(  # noqa: N802 - reads as the type of a parameter
    name: str,
    low: float,
    high: float,
    *,
    log: bool = False,
    step: float | None = None,
    default: float | None = None,
    when: When | None = None,
    prior: Normal | None = None,
) -> Parameter:
    """A real number from low to high; with `step`, one of low, low + step, ..."""
    for value in (low, high, step, default):
        _check_number(name, value, whole=False)
    _check_range(name, low, high, log=log, step=step, default=default)
    if log and step is not None:
        raise InvalidSpec(f"{name}: log and step exclude each other")
    believed = prior_to_json(name, prior, low, high)
    fields = {"low": low, "high": high, "log": bool(log), "step": step, "default": default}
    return Parameter("float", name, when, **fields, prior=believed)


def Int(  # noqa: N802
    name: str,
    low: int,
    high: int,
    *,
    log: bool = False,
    step: int = 1,
    default: int | None = None,
    when: When | None = None,
    prior: Normal | None = None,
) -> Parameter:
    """A whole number from low to high, both included; with `step`, one of low, low + step, ..."""
    for value in (low, high, step, default):
        _check_number(name, value, whole=True)
    _check_range(name, low, high, log=log, step=step, default=default)
    if log and step != 1:
        raise InvalidSpec(f"{name}: log and step exclude each other")
    believed = prior_to_json(name, prior, low, high)
    fields = {"low": low, "high": high, "log": bool(log), "step": step, "default": default}
    return Parameter("int", name, when, **fields, prior=believed)


def Choice(  # noqa: N802
    name: str,
    choices: Sequence[Scalar],
    *,
    default: Scalar = None,
    when: When | None = None,
    weights: Sequence[float] | None = None,
) -> Parameter:
    """One of the choices, of which none is nearer to another.  A default of None is no default.

    `weights` say how likely each is to be good; only their proportions count.
    """
    return _choice(name, choices, ordered=False, default=default, when=when, weights=weights)


def Ordinal(  # noqa: N802
    name: str,
    choices: Sequence[Scalar],
    *,
    default: Scalar = None,
    when: When | None = None,
    weights: Sequence[float] | None = None,
) -> Parameter:
    """One of the choices, of which neighbours in the list are alike: small, medium, large."""
    return _choice(name, choices, ordered=True, default=default, when=when, weights=weights)


def Bool(  # noqa: N802
    name: str, *, default: bool | None = None, when: When | None = None
) -> Parameter:
    """True or false."""
    if default is not None and not isinstance(default, bool):
        raise InvalidSpec(f"{name}: expected a default of True or False, got {default!r}")
    return _choice(name, [False, True], ordered=False, default=default, when=when)


def Fixed(name: str, value: Scalar, *, when: When | None = None) -> Parameter:  # noqa: N802
    """Always this value: it is in every config, and nothing is searched."""
    return _choice(name, [value], ordered=False, default=value, when=when)


def Permutation(  # noqa: N802
    name: str,
    items: Sequence[Scalar],
    *,
    default: Sequence[Scalar] | None = None,
    when: When | None = None,
) -> Parameter:
    """The items, 2 to 12 of them, in some order: in a config, a list that holds each once."""
    listed = _distinct(name, items, "item")
    if not 2 <= len(listed) <= MOST_ITEMS:
        raise InvalidSpec(f"{name}: expected 2 to {MOST_ITEMS} items, got {len(listed)}")
    order = None if default is None else _distinct(name, default, "item")
    if order is not None and set(map(_key, order)) != set(map(_key, listed)):
        raise InvalidSpec(f"{name}: the default {order} is no order of the items {listed}")
    return Parameter("permutation", name, when, items=listed, default=order)


def space_to_json(space: Sequence[Part]) -> dict[str, Any]:
    """The search space as it travels; raises InvalidSpec when its parts do not fit together."""
    if isinstance(space, Parameter | str | Mapping):
        raise InvalidSpec('space: expected a list such as [tt.Float("lr", 1e-5, 1e-1, log=True)]')
    parameters = [part for part in space if not isinstance(part, Linear)]
    constraints = [part for part in space if isinstance(part, Linear)]
    if not parameters:
        raise InvalidSpec("space: expected at least one parameter")
    earlier: dict[str, Parameter] = {}
    for parameter in parameters:
        _check_member(parameter, earlier)
        earlier[parameter.name] = parameter
    for constraint in constraints:
        _check_terms(constraint, earlier)
    return {
        "parameters": [parameter.to_json() for parameter in parameters],
        "constraints": [constraint.to_json() for constraint in constraints],
    }


def space_from_json(space: Mapping[str, Any]) -> list[Part]:
    """The parts of a space that has travelled: what space_to_json makes it of."""
    parts: list[Part] = []
    for wire in space["parameters"]:
        fields = {name: wire[name] for name in wire if name not in {"kind", "name", "when"}}
        when = {condition["parameter"]: condition["in"] for condition in wire.get("when") or ()}
        parts.append(Parameter(wire["kind"], wire["name"], when, **fields))
    parts += [Linear(**constraint) for constraint in space.get("constraints") or ()]
    return parts


def _check_member(parameter: object, earlier: Mapping[str, Parameter]) -> None:
    if not isinstance(parameter, Parameter):
        raise InvalidSpec(f"space: expected tt.Float, tt.Int, tt.Choice, ..., got {parameter!r}")
    if parameter.name in earlier:
        raise InvalidSpec(f"space: the parameter {parameter.name!r} is given twice")
    for parent in parameter.parents:
        if parent not in earlier:
            raise InvalidSpec(
                f"{parameter.name}: `when` names {parent!r}, "
                "which is not a parameter that stands before it in the space"
            )
        kind = earlier[parent].to_json()["kind"]
        if kind in ("float", "permutation"):
            raise InvalidSpec(
                f"{parameter.name}: `when` needs a choice or an int, but {parent!r} is a {kind}"
            )


def _check_terms(constraint: Linear, parameters: Mapping[str, Parameter]) -> None:
    for name in constraint.terms:
        if name not in parameters:
            raise InvalidSpec(f"tt.Linear: {name!r} is not a parameter of this space")
        if parameters[name].to_json()["kind"] not in {"float", "int"}:
            raise InvalidSpec(f"tt.Linear: only floats and ints add up, not {name!r}")
        if parameters[name].parents:
            raise InvalidSpec(f"tt.Linear: {name!r} has a `when`, and is not in every config")


def _choice(
    name: str,
    choices: Sequence[Scalar],
    *,
    ordered: bool,
    default: Scalar,
    when: When | None,
    weights: Sequence[float] | None = None,
) -> Parameter:
    listed = _distinct(name, choices, "choice")
    if default is not None and _key(default) not in map(_key, listed):
        raise InvalidSpec(f"{name}: the default {default!r} is none of the choices {listed}")
    fields = {"choices": listed, "ordered": ordered, "default": default}
    believed = weights_to_json(name, weights, len(listed))
    return Parameter("choice", name, when, **fields, weights=believed)


def _distinct(name: str, values: Sequence[Scalar], word: str) -> list[Scalar]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise InvalidSpec(f"{name}: expected a list of {word}s, got {values!r}")
    listed = [_plain(name, value, word) for value in values]
    keys = [_key(value) for value in listed]
    for key, value in zip(keys, listed, strict=True):
        if keys.count(key) > 1:
            raise InvalidSpec(f"{name}: the {word} {value!r} is given twice")
    return listed


def _conditions(name: str, when: When | None) -> list[dict[str, Any]]:
    if when is None:
        return []
    if not isinstance(when, Mapping):
        raise InvalidSpec(f'{name}: expected when={{"parameter": value}}, got {when!r}')
    return [
        {"parameter": parent, "in": _values(name, parent, values)}
        for parent, values in when.items()
    ]


def _values(name: str, parent: str, values: Scalar | Sequence[Scalar]) -> list[Scalar]:
    if isinstance(values, Sequence | set | frozenset) and not isinstance(values, str):
        if not values:
            raise InvalidSpec(f"{name}: `when` gives no value for {parent!r}")
        return [_plain(name, value) for value in values]
    return [_plain(name, values)]


def _key(value: Scalar) -> tuple[bool, Scalar]:
    return isinstance(value, bool), value  # True equals 1 in Python, but not in JSON


def _plain(name: str, value: object, word: str = "choice") -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidSpec(f"{name}: every {word} must be finite, got {value}")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InvalidSpec(
        f"{name}: each {word} is a bool, a number, a text or None, got {type(value).__name__}"
        " (choose by a name, and look the object up in your training code)"
    )


def _check_number(name: str, value: object, *, whole: bool) -> None:
    if value is None:
        return
    expected = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise InvalidSpec(f"{name}: expected {expected}, got {value!r}")
    if not math.isfinite(value):
        raise InvalidSpec(f"{name}: expected a finite number, got {value}")
    if whole and abs(value) > LARGEST_INT:
        raise InvalidSpec(f"{name}: whole numbers must lie within ±2**53, got {value}")


def _check_range(
    name: str,
    low: float,
    high: float,
    *,
    log: bool,
    step: float | None,
    default: float | None,
) -> None:
    if low > high:
        raise InvalidSpec(f"{name}: expected low <= high, got low={low}, high={high}")
    if log and low <= 0:
        raise InvalidSpec(f"{name}: a log scale needs low > 0, got low={low}")
    if step is not None and step <= 0:
        raise InvalidSpec(f"{name}: expected step > 0, got step={step}")
    if default is not None and not low <= default <= high:
        raise InvalidSpec(f"{name}: the default {default} is not within [{low}, {high}]")
