"""Linear constraints between parameters: a weighted sum of values that stays within bounds.

A sum may pass its bound by ROUNDING times the largest that its terms can add up to, and by no more:
that is what computing it in floats may be off by (0.1 + 0.2 is not 0.3).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from search.errors import InvalidConfig, InvalidSpace, Path
from search.parameters import (
    ChoiceParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PermutationParameter,
)
from search.values import Config, Real, Wire

MAX_LINEAR = 64
ROUNDING = 1e-12
SWEEPS = 20  # of the search for a contradiction between constraints
LONGEST = 200  # characters of a sum in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearConstraint(Wire):
    """The sum of coefficient times value over `terms` is at most, or at least, a bound.

    Values count in the parameter's own units, also on a log scale.
    """

    terms: Mapping[str, Real]
    at_most: Real | None = None
    at_least: Real | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", {n: float(c) for n, c in dict(self.terms).items()})
        for field in ("at_most", "at_least"):
            if (bound := getattr(self, field)) is not None:
                object.__setattr__(self, field, float(bound))
        if not self.terms:
            raise InvalidSpace("a linear constraint needs at least one term", at=("terms",))
        for name, coefficient in self.terms.items():
            if not math.isfinite(coefficient) or coefficient == 0:
                raise InvalidSpace(
                    f"{self}: expected a finite coefficient other than 0 for {name!r}, "
                    f"got {coefficient}",
                    at=("terms", name),
                )
        _check_bounds(self)

    @property
    def low(self) -> float:
        """The least that the sum may be."""
        return -math.inf if self.at_least is None else self.at_least

    @property
    def high(self) -> float:
        """The most that the sum may be."""
        return math.inf if self.at_most is None else self.at_most

    def total(self, config: Config) -> float:
        """The sum at a config."""
        return math.fsum(c * config[name] for name, c in self.terms.items())  # type: ignore[operator]

    def holds(self, config: Config, slack: float) -> bool:
        """Whether the config meets it; `slack` is what rounding may take the sum past a bound."""
        return self.low - slack <= self.total(config) <= self.high + slack

    def check(self, config: Config, slack: float) -> None:
        """Raise InvalidConfig, with the sum and the bound, unless the config meets it."""
        if not self.holds(config, slack):
            total = self.total(config)
            side = "exceeds at_most" if total > self.high else "is below at_least"
            bound = self.high if total > self.high else self.low
            raise InvalidConfig(f"{self} is {total!r}, which {side}={bound!r}")

    def __str__(self) -> str:
        """The sum as one writes it: a + 2 b - c."""
        parts = [
            f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{abs(c):g} '}{name}"
            for name, c in self.terms.items()
        ]
        text = " ".join(parts).removeprefix("+ ")
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def check_constraints(
    constraints: Sequence[LinearConstraint], parameters: Sequence[Parameter]
) -> None:
    """Raise InvalidSpace unless they speak of numbers that are always there, and can be met.

    That they cannot is seen where the ranges of the parameters alone, narrowed by one constraint
    after the other, show it; subtler contradictions are left to the searchers.
    """
    if len(constraints) > MAX_LINEAR:
        reason = f"expected at most {MAX_LINEAR} constraints, got {len(constraints)}"
        raise InvalidSpace(reason, at=("constraints",))
    known = {parameter.name: parameter for parameter in parameters}
    for place, constraint in enumerate(constraints):
        for name in constraint.terms:
            at = ("constraints", place, "terms", name)
            _check_term(f"constraints.{place}: {name!r:.80}", known.get(name), at)
        if not math.isfinite(slack_of(constraint, parameters)):
            reason = f"constraints.{place}: {constraint} overflows"
            raise InvalidSpace(reason, at=("constraints", place))
    ranges = {p.name: ends(p) for p in parameters if isinstance(p, FloatParameter | IntParameter)}
    for _ in range(SWEEPS):
        for place, constraint in enumerate(constraints):
            _narrow(place, constraint, ranges, slack_of(constraint, parameters))


def slack_of(constraint: LinearConstraint, parameters: Sequence[Parameter]) -> float:
    """By how much rounding may take the constraint's sum past a bound."""
    sizes = {p.name: max(map(abs, ends(p))) for p in parameters if p.name in constraint.terms}
    return ROUNDING * sum(abs(c) * sizes[name] for name, c in constraint.terms.items())


def ends(parameter: Parameter) -> tuple[float, float]:
    """The least and the greatest value of a number."""
    match parameter:
        case FloatParameter(low=low, step=float(step)):
            return low, min(low + parameter.steps * step, parameter.high)
        case FloatParameter(low=low, high=high):
            return low, high
        case IntParameter(low=low, high=high, step=step):
            return float(low), float(low + (high - low) // step * step)
        case ChoiceParameter(name=name) | PermutationParameter(name=name):
            raise InvalidSpace(f"{name}: only a number has ends")


def _check_bounds(constraint: LinearConstraint) -> None:
    bounds = [b for b in (constraint.at_most, constraint.at_least) if b is not None]
    if not bounds:
        raise InvalidSpace(f"{constraint}: give at_most or at_least")
    if not all(map(math.isfinite, bounds)):
        raise InvalidSpace(f"{constraint}: bounds must be finite", at=("at_most",))
    if constraint.low > constraint.high:
        raise InvalidSpace(
            f"{constraint}: at_least={constraint.at_least} exceeds at_most={constraint.at_most}",
            at=("at_least",),
        )


def _check_term(what: str, parameter: Parameter | None, at: Path) -> None:
    if parameter is None:
        raise InvalidSpace(f"{what} is not a parameter of this space", at=at)
    if not isinstance(parameter, FloatParameter | IntParameter):
        reason = f"{what} is a {parameter.kind}, and only floats and ints add up"
        raise InvalidSpace(reason, at=at)
    if parameter.when:
        reason = f"{what} is conditional, and a sum needs values that are always there"
        raise InvalidSpace(reason, at=at)


def _narrow(
    place: int,
    constraint: LinearConstraint,
    ranges: dict[str, tuple[float, float]],
    slack: float,
) -> None:
    """Narrow the ranges of the constraint's terms to what it leaves them."""
    least = math.fsum(min(c * end for end in ranges[n]) for n, c in constraint.terms.items())
    most = math.fsum(max(c * end for end in ranges[n]) for n, c in constraint.terms.items())
    if least > constraint.high + slack:
        raise _unmet(place, constraint, f"at least {least:g}", f"at_most={constraint.at_most:g}")
    if most < constraint.low - slack:
        raise _unmet(place, constraint, f"at most {most:g}", f"at_least={constraint.at_least:g}")
    ranges.update(_left(constraint, ranges, least, most, slack))


def _left(
    constraint: LinearConstraint,
    ranges: Mapping[str, tuple[float, float]],
    least: float,
    most: float,
    slack: float,
) -> Iterator[tuple[str, tuple[float, float]]]:
    for name, c in constraint.terms.items():
        low, high = ranges[name]
        own = sorted((c * low, c * high))
        floor = (constraint.low - slack - (most - own[1])) / c
        ceiling = (constraint.high + slack - (least - own[0])) / c
        a, b = (floor, ceiling) if c > 0 else (ceiling, floor)
        # Rounding may take an end past the other one, where a single value is left.
        narrowed = max(low, a), min(high, b)
        yield name, (min(narrowed), max(narrowed)) if narrowed[0] > narrowed[1] else narrowed


def _unmet(place: int, constraint: LinearConstraint, reached: str, bound: str) -> InvalidSpace:
    return InvalidSpace(
        f"constraints.{place}: no config can meet {bound}: within the parameters' ranges and the "
        f"other constraints {constraint} is {reached}",
        at=("constraints", place),
    )
