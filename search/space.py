"""The search space: parameters, which of them are active, and what a legal config is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.errors import InvalidConfig, InvalidSpace, Path
from search.linear import LinearConstraint, check_constraints, slack_of
from search.parameters import FloatParameter, Parameter, PermutationParameter, has_belief
from search.values import Config, Value, Wire

if TYPE_CHECKING:
    import numpy as np

MAX_PARAMETERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace(Wire):
    """What may be tried.  Names are unique and a parent stands before its children.

    A parameter is active when all its conditions hold; inactive ones are absent from a config.
    Every config meets all `constraints`, which speak of numbers without conditions.
    """

    parameters: Sequence[Parameter]
    constraints: Sequence[LinearConstraint] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(self.parameters))
        object.__setattr__(self, "constraints", tuple(self.constraints))
        if not 1 <= len(self.parameters) <= MAX_PARAMETERS:
            raise InvalidSpace(
                f"a space has 1 to {MAX_PARAMETERS} parameters, got {len(self.parameters)}",
                at=("parameters",),
            )
        earlier: dict[str, Parameter] = {}
        for place, parameter in enumerate(self.parameters):
            at: Path = ("parameters", place)
            if parameter.name in earlier:
                reason = f"parameter {parameter.name!r} is given twice"
                raise InvalidSpace(reason, at=(*at, "name"))
            _check_conditions(parameter, earlier, (*at, "when"))
            earlier[parameter.name] = parameter
        check_constraints(self.constraints, self.parameters)
        self._check_defaults()

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    @property
    def conditional(self) -> bool:
        """Whether any parameter is active only for some values of others."""
        return any(parameter.when for parameter in self.parameters)

    @property
    def believes(self) -> bool:
        """Whether a prior or weights say of any parameter where good values lie."""
        return any(has_belief(parameter) for parameter in self.parameters)

    def active(self, config: Config) -> Iterator[Parameter]:
        """The parameters that are active in the config, parents before children."""
        known: dict[str, Value] = {}
        for parameter in self.parameters:
            if is_active(parameter, known):
                if parameter.name in config:
                    known[parameter.name] = config[parameter.name]
                yield parameter

    def check(self, config: Config) -> dict[str, Value]:
        """The config with each value as its parameter holds it, in the order of the space.

        Raises InvalidConfig when a value is out of range, an active parameter is missing, a name is
        unknown or inactive, or a constraint is broken by more than floats are off by.
        """
        checked: dict[str, Value] = {}
        for parameter in self.active(config):
            if parameter.name not in config:
                raise InvalidConfig(
                    f"{parameter.name}: expected a value, got none", parameter=parameter.name
                )
            checked[parameter.name] = parameter.check(config[parameter.name])
        for name in config:
            if name not in checked:
                raise self._stray(name)
        for constraint in self.constraints:
            constraint.check(checked, slack_of(constraint, self.parameters))
        return checked

    def defaults(self) -> dict[str, Value] | None:
        """The config of all defaults, or None when an active parameter has no default."""
        config: dict[str, Value] = {}
        for parameter in self.parameters:
            if is_active(parameter, config):
                if parameter.default is None:
                    return None
                config[parameter.name] = (
                    list(parameter.default)
                    if isinstance(parameter, PermutationParameter)
                    else parameter.default
                )
        return config

    def sample(self, rng: np.random.Generator, count: int) -> list[dict[str, Value]]:
        """`count` configs drawn as the declared scales and the priors say.

        Raises InvalidSpace when no config meets the constraints.
        """
        from search.drawing import sample

        return sample(self, rng, count)

    def _check_defaults(self) -> None:
        if self.constraints and (defaults := self.defaults()) is not None:
            try:
                self.check(defaults)
            except InvalidConfig as error:
                reason = f"the defaults break a constraint: {error}"
                raise InvalidSpace(reason, at=("parameters",)) from None

    def _stray(self, name: str) -> InvalidConfig:
        if any(parameter.name == name for parameter in self.parameters):
            return InvalidConfig(f"{name}: is not active in this config", parameter=name)
        return InvalidConfig(f"{name!r:.80} is not a parameter of this space", parameter=name)


def is_active(parameter: Parameter, config: Config) -> bool:
    """Whether the parameter's conditions hold, given the values of what is declared before it."""
    return all(c.parameter in config and c.allows(config[c.parameter]) for c in parameter.when)


def _check_conditions(parameter: Parameter, earlier: Mapping[str, Parameter], at: Path) -> None:
    for place, condition in enumerate(parameter.when):
        named = (*at, place, "parameter")
        parent = earlier.get(condition.parameter)
        if parent is None:
            raise InvalidSpace(
                f"{parameter.name}: its condition names {condition.parameter!r}, "
                "which must be a parameter declared before it",
                at=named,
            )
        if isinstance(parent, FloatParameter | PermutationParameter):
            raise InvalidSpace(
                f"{parameter.name}: a condition needs a choice or an int, "
                f"but {parent.name!r} is a {parent.kind}",
                at=named,
            )
        for k, value in enumerate(condition.values):
            _check_possible(parameter.name, parent, value, (*at, place, "in", k))


def _check_possible(name: str, parent: Parameter, value: Value, at: Path) -> None:
    try:
        parent.check(value)
    except InvalidConfig as error:
        reason = f"{name}: its condition can never hold: {error}"
        raise InvalidSpace(reason, at=at) from None
