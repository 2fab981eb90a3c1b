"""The kinds of parameter a search space is made of.

Every class here is plain data that pydantic's TypeAdapter reads and writes as it stands.
Sequences are accepted as any sequence and kept as tuples.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from search.errors import InvalidConfig, InvalidSpace, Path
from search.normal import Normal, check_prior
from search.values import Flag, Real, Scalar, Tagged, Value, Whole, Wire, is_number, same_value

NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
MAX_CHOICES = 1000
MAX_TEXT = 1000
MAX_ITEMS = 12  # of a permutation: its 479,001,600 orders are levels like any others
MAX_INT = 2**53  # the integers that a JSON number and a float64 hold exactly
LEAST_WEIGHT = 1e-9  # of a choice's, beside the greatest
FEWEST_FLOATS = 2**30  # in a range that is searched: places in it are then known to nine digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Wire):
    """Holds while the named parameter is active and has one of the values (`in` on the wire)."""

    parameter: str
    values: Sequence[Scalar]

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {
        **Wire.__pydantic_config__,
        "alias_generator": {"parameter": "parameter", "values": "in"}.__getitem__,
        "populate_by_name": True,
        "serialize_by_alias": True,
    }

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            reason = f"a condition on {self.parameter!r} needs at least one value"
            raise InvalidSpace(reason, at=("in",))

    def allows(self, value: Value) -> bool:
        """Whether the parent's value satisfies the condition."""
        return any(same_value(value, allowed) for allowed in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatParameter(Wire):
    """A real number in [low, high]; with `step`, one of low, low + step, ..."""

    name: str
    low: Real
    high: Real
    log: Flag = False
    step: Real | None = None
    default: Real | None = None
    when: Sequence[Condition] = ()
    prior: Normal | None = None
    kind: Literal["float"] = "float"

    def __post_init__(self) -> None:
        _check_name(self.name)
        for field in ("low", "high", "step", "default"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, float(value))
        object.__setattr__(self, "when", tuple(self.when))
        _check_bounds(self.name, self.low, self.high, log=self.log, step=self.step)
        _check_resolution(self.name, self.low, self.high, log=self.log, step=self.step)
        if self.default is not None:
            object.__setattr__(self, "default", _default_of(self))
        if self.prior is not None:
            check_prior(self.name, self.prior, self.low, self.high, log=self.log)

    def check(self, value: object) -> float:
        """The value as this parameter holds it; raises InvalidConfig when it is out of range."""
        if not is_number(value):
            raise _wrong(self.name, f"a number in [{self.low}, {self.high}]", value)
        number = float(value)  # type: ignore[arg-type]
        if not (self.low <= number <= self.high):
            raise _wrong(self.name, f"a number in [{self.low}, {self.high}]", value)
        return number if self.step is None else self._on_step(number, value)

    def _on_step(self, number: float, value: object) -> float:
        assert self.step is not None
        count = round((number - self.low) / self.step)
        # The grid is computed in floats: a value within 1e-9 of a step is that step.
        level = self.low + count * self.step
        if not math.isclose(number, level, rel_tol=1e-9, abs_tol=1e-9 * self.step):
            raise _wrong(self.name, f"{self.low} plus a multiple of {self.step}", value)
        return min(level, self.high)

    @property
    def steps(self) -> int:
        """How many steps lead from low to the highest level; 0 without a step."""
        if self.step is None:
            return 0
        ratio = (self.high - self.low) / self.step
        return math.floor(ratio * (1 + 4e-16) + 1e-10)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntParameter(Wire):
    """A whole number in [low, high], both included; with `step`, one of low, low + step, ..."""

    name: str
    low: Whole
    high: Whole
    log: Flag = False
    step: Whole = 1
    default: Whole | None = None
    when: Sequence[Condition] = ()
    prior: Normal | None = None
    kind: Literal["int"] = "int"

    def __post_init__(self) -> None:
        _check_name(self.name)
        object.__setattr__(self, "when", tuple(self.when))
        if max(abs(self.low), abs(self.high)) > MAX_INT:
            at = "low" if abs(self.low) > MAX_INT else "high"
            raise InvalidSpace(f"{self.name}: bounds must lie within ±2**53", at=(at,))
        # Every whole number is a level of a log scale, so a step of 1 says nothing.
        step = None if self.step == 1 else self.step
        _check_bounds(self.name, self.low, self.high, log=self.log, step=step)
        if self.default is not None:
            object.__setattr__(self, "default", _default_of(self))
        if self.prior is not None:
            check_prior(self.name, self.prior, self.low, self.high, log=self.log)

    def check(self, value: object) -> int:
        """The value as this parameter holds it; raises InvalidConfig when it is out of range."""
        expected = f"a whole number in [{self.low}, {self.high}]"
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON writers do not tell 1.0 from 1
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(self.name, expected, value)
        if not (self.low <= value <= self.high):
            raise _wrong(self.name, expected, value)
        if (value - self.low) % self.step:
            raise _wrong(self.name, f"{self.low} plus a multiple of {self.step}", value)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceParameter(Wire):
    """One of the choices; `ordered` says that neighbours in the list are alike.

    Two choices false and true make a switch, a single choice makes a fixed value.  A default of
    None means that there is none: null can be a choice, but not the default one.  `weights`, one
    for each choice, say how likely each is to be good; only their proportions count.
    """

    name: str
    choices: Sequence[Scalar]
    ordered: Flag = False
    default: Scalar = None
    when: Sequence[Condition] = ()
    weights: Sequence[Real] | None = None
    kind: Literal["choice"] = "choice"

    def __post_init__(self) -> None:
        _check_name(self.name)
        object.__setattr__(self, "choices", tuple(self.choices))
        object.__setattr__(self, "when", tuple(self.when))
        if not 1 <= len(self.choices) <= MAX_CHOICES:
            raise InvalidSpace(
                f"{self.name}: expected 1 to {MAX_CHOICES} choices, got {len(self.choices)}",
                at=("choices",),
            )
        for place, value in enumerate(self.choices):
            _check_choice(self.name, value, ("choices", place))
        _check_distinct(self.name, self.choices, "choices")
        if self.default is not None:
            object.__setattr__(self, "default", _default_of(self))
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(map(float, self.weights)))
            _check_weights(self.name, self.weights, len(self.choices))

    def check(self, value: object) -> Scalar:
        """The choice that equals the value; raises InvalidConfig when there is none."""
        for choice in self.choices:
            if isinstance(value, bool | int | float | str | None) and same_value(choice, value):
                return choice
        raise _wrong(self.name, f"one of {list(self.choices)!r}", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutationParameter(Wire):
    """The items in some order: its value is a list that holds each of them once."""

    name: str
    items: Sequence[Scalar]
    default: Sequence[Scalar] | None = None
    when: Sequence[Condition] = ()
    kind: Literal["permutation"] = "permutation"

    def __post_init__(self) -> None:
        _check_name(self.name)
        object.__setattr__(self, "items", tuple(self.items))
        object.__setattr__(self, "when", tuple(self.when))
        if not 2 <= len(self.items) <= MAX_ITEMS:
            raise InvalidSpace(
                f"{self.name}: expected 2 to {MAX_ITEMS} items, got {len(self.items)}",
                at=("items",),
            )
        for place, value in enumerate(self.items):
            _check_choice(self.name, value, ("items", place))
        _check_distinct(self.name, self.items, "items")
        if self.default is not None:
            object.__setattr__(self, "default", tuple(_default_of(self)))

    def check(self, value: object) -> list[Scalar]:
        """The items in the order given; raises InvalidConfig unless it holds each of them once."""
        if not isinstance(value, list | tuple):
            raise _wrong(self.name, self._expected, value)
        found = [self._item(given, value) for given in value]
        for item in self.items:
            times = sum(item is other for other in found)
            if times != 1:
                what = f"without {item!r:.80}" if not times else f"with {item!r:.80} repeated"
                raise _wrong(self.name, self._expected, value, what)
        return found

    @property
    def _expected(self) -> str:
        return f"a list of each of {list(self.items)!r:.400} once"

    def _item(self, given: object, value: object) -> Scalar:
        """The item that is meant, as the parameter holds it."""
        for item in self.items:
            if isinstance(given, bool | int | float | str | None) and same_value(item, given):
                return item
        raise _wrong(self.name, self._expected, value, f"with {given!r:.80}, which is no item")


Parameter: TypeAlias = Annotated[
    FloatParameter | IntParameter | ChoiceParameter | PermutationParameter, Tagged()
]


def has_belief(parameter: Parameter) -> bool:
    """Whether a prior or weights say where the parameter's good values lie."""
    if isinstance(parameter, ChoiceParameter):
        return parameter.weights is not None
    return not isinstance(parameter, PermutationParameter) and parameter.prior is not None


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or name != name.strip():
        raise InvalidSpace(
            f"a parameter name needs 1 to 128 printable characters, no space at the ends, "
            f"got {name!r:.80}",
            at=("name",),
        )


def _check_bounds(name: str, low: float, high: float, *, log: bool, step: float | None) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidSpace(
            f"{name}: bounds must be finite, got low={low}, high={high}",
            at=("low" if math.isinf(low) else "high",),
        )
    if low > high:
        raise InvalidSpace(f"{name}: expected low <= high, got low={low}, high={high}", at=("low",))
    if not math.isfinite(high - low):
        raise InvalidSpace(
            f"{name}: high - low overflows, got low={low}, high={high}", at=("high",)
        )
    if log and low <= 0:
        raise InvalidSpace(f"{name}: a log scale needs low > 0, got low={low}", at=("low",))
    if step is not None and not (math.isfinite(step) and step > 0):
        raise InvalidSpace(f"{name}: expected step > 0, got step={step}", at=("step",))
    if log and step is not None:
        raise InvalidSpace(
            f"{name}: log and step exclude each other, got step={step}", at=("step",)
        )


def _check_resolution(name: str, low: float, high: float, *, log: bool, step: float | None) -> None:
    """Refuse ranges and steps so fine that what lies between is rounding."""
    a, b = (math.log(low), math.log(high)) if log else (low, high)
    if step is None and low < high and b - a < FEWEST_FLOATS * max(math.ulp(a), math.ulp(b)):
        raise InvalidSpace(
            f"{name}: low and high are so close that floats between them are too coarse to search, "
            f"got low={low}, high={high}",
            at=("high",),
        )
    if step is not None and step < 4 * max(math.ulp(low), math.ulp(high)):
        raise InvalidSpace(
            f"{name}: floats between {low} and {high} are coarser than step={step}", at=("step",)
        )


def _check_choice(name: str, value: Scalar, at: Path) -> None:
    word = _one_of(at)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidSpace(f"{name}: every {word} must be finite, got {value}", at=at)
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise InvalidSpace(f"{name}: an integer {word} must lie within ±2**53", at=at)
    if isinstance(value, str) and (len(value) > MAX_TEXT or "\x00" in value):
        raise InvalidSpace(
            f"{name}: a text {word} has at most {MAX_TEXT} characters and no NUL character", at=at
        )


def _check_distinct(name: str, values: Sequence[Scalar], field: str) -> None:
    seen: set[tuple[bool, Scalar]] = set()
    for place, value in enumerate(values):
        key = (isinstance(value, bool), value)
        if key in seen:
            at = (field, place)
            raise InvalidSpace(f"{name}: {_one_of(at)} {value!r} is given twice", at=at)
        seen.add(key)


def _one_of(at: Path) -> str:
    """What one of the values in a list of choices or items is called."""
    return str(at[0]).removesuffix("s")


def _default_of(parameter: "Parameter") -> Any:
    """The default as the parameter holds it; raises InvalidConfig, naming the field."""
    try:
        return parameter.check(parameter.default)
    except InvalidConfig as error:
        raise InvalidConfig(str(error), parameter=error.parameter, at=("default",)) from None


def _check_weights(name: str, weights: Sequence[float], count: int) -> None:
    if len(weights) != count:
        reason = f"{name}: expected {count} weights, one a choice, got {len(weights)}"
        raise InvalidSpace(reason, at=("weights",))
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        reason = f"{name}: expected finite weights > 0, got {list(weights)!r:.200}"
        raise InvalidSpace(reason, at=("weights",))
    if min(weights) < LEAST_WEIGHT * max(weights):
        raise InvalidSpace(
            f"{name}: the least weight is less than {LEAST_WEIGHT:g} of the greatest; "
            "a choice that is as good as impossible need not be one",
            at=("weights",),
        )


def _wrong(name: str, expected: str, value: object, what: str = "") -> InvalidConfig:
    message = f"{name}: expected {expected}, got {value!r:.200}"
    return InvalidConfig(f"{message}, {what}" if what else message, parameter=name)
