"""The values that parameters take, and when two of them are the same."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

Scalar: TypeAlias = bool | int | float | str | None
Value: TypeAlias = Scalar | list[Scalar]  # a list is the value of a permutation
Config: TypeAlias = Mapping[str, Value]


class Strict:
    """Marks a field that pydantic, where it reads one, must not convert: "1" is no number.

    pydantic asks any annotation for this method, so the search layer need not import it.
    """

    def __get_pydantic_core_schema__(
        self, source: object, handler: Callable[[object], dict[str, Any]]
    ) -> dict[str, Any]:
        return {**handler(source), "strict": True}


Real: TypeAlias = Annotated[float, Strict()]
Whole: TypeAlias = Annotated[int, Strict()]
Flag: TypeAlias = Annotated[bool, Strict()]


class AsItStands:
    """Marks a field that pydantic passes on unread: JSON that only its writer understands."""

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> dict[str, Any]:
        return {"type": "any"}


JSON: TypeAlias = Annotated[
    bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None, AsItStands()
]


TAG = "kind="  # what the name of a union's member begins with in the path of an error
UNKNOWN_KIND = "unknown_kind"  # the type of the error where no member is meant


class Tagged:
    """Marks a union that `kind` tells apart, so that errors speak of one member.

    pydantic puts the member that it read into the path of an error, where the document has no such
    key: it is marked with TAG there, for whoever reports the error to leave out.
    """

    def __get_pydantic_core_schema__(self, source: object, handler: Any) -> dict[str, Any]:
        members = {member.kind_of(): member for member in get_args(source)}
        return {
            "type": "tagged-union",
            "discriminator": _tag,
            "choices": {TAG + kind: handler.generate_schema(m) for kind, m in members.items()},
            "custom_error_type": UNKNOWN_KIND,
            "custom_error_message": f'expected {{"kind": ...}} with one of {", ".join(members)}',
        }

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """As a union with a plain discriminator, which is what the document has."""
        choices = {tag.removeprefix(TAG): choice for tag, choice in schema["choices"].items()}
        found: dict[str, Any] = handler({**schema, "discriminator": "kind", "choices": choices})
        return found


def _tag(value: object) -> str | None:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return TAG + kind if isinstance(kind, str) else None


class Wire:
    """The reading rules of every dataclass that travels: no unknown keys, no NaN, no infinity."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}
    __slots__ = ()

    @classmethod
    def kind_of(cls) -> str:
        """The value of `kind` that names this class on the wire."""
        return str(next(f.default for f in fields(cls) if f.name == "kind"))  # type: ignore[arg-type]


def is_number(value: object) -> bool:
    """Whether the value is a number; a bool, which Python counts as an int, is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same_value(a: Value, b: Value) -> bool:
    """Equality as JSON sees it: 1 equals 1.0, but neither equals true."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_value, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b


# Made once: json.dumps would make one for each of what may be thousands of configs.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(config: Config) -> str:
    """The config as text that is equal for equal configs: sorted keys, 1.0 written as 1."""
    plain = {name: _plain(config[name]) for name in sorted(config)}
    return _ENCODER.encode(plain)


def _plain(value: Value) -> object:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
