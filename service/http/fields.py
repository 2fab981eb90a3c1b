"""Where in a request something is wrong, and what: pydantic's findings, by paths in the body."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.errors import SearchError
from search.values import TAG, UNKNOWN_KIND

LONGEST = 500  # characters of a message; a message may quote what was sent
LONGEST_FIELD = 200
_SHOWN = 40  # characters of a value in a message
_ABSENT = object()
_MISSING = {"missing", "missing_argument", "missing_keyword_only_argument"}
_UNEXPECTED = {"extra_forbidden", "unexpected_keyword_argument"}
_SAYS_ENOUGH = ("string_pattern", "string_too", "too_", "value_error")
_OPENING = "Input should be "


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: in the body, the query, ...; at which path; and what."""

    place: str
    path: tuple[str | int, ...]
    message: str
    kind: str
    value: object  # what lies there; never shown as it is, as it may be large or secret

    def said(self) -> dict[str, Any]:
        """As an error of a problem."""
        return {
            "in": self.place,
            "field": dotted(self.path),
            "message": (self.message + self._got())[:LONGEST],
            "kind": self.kind,
        }

    def _got(self) -> str:
        quiet = self.kind in _MISSING | _UNEXPECTED or self.kind.startswith(_SAYS_ENOUGH)
        if quiet or self.value is _ABSENT or ", got " in self.message:
            return ""
        return f", got {_described(self.value, quoted=self.kind == UNKNOWN_KIND)}"


def fields_of(errors: Iterable[Mapping[str, Any]], body: object) -> list[dict[str, Any]]:
    """Every field that is wrong, once, with what pydantic says of it."""
    found: dict[tuple[str, tuple[str | int, ...]], Finding] = {}
    for item in errors:
        finding = _finding(item, body)
        key = (finding.place, finding.path)
        found[key] = _either(found[key], finding) if key in found else finding
    return [finding.said() for finding in found.values()]


def dotted(path: Sequence[str | int]) -> str:
    """The path as one writes it: space.parameters.0.low."""
    return ".".join(map(str, path))[:LONGEST_FIELD]


def _finding(item: Mapping[str, Any], body: object) -> Finding:
    place, *parts = item["loc"]
    kind, message = item["type"], item["msg"].removeprefix("Value error, ")
    if place != "body":
        return Finding(str(place), tuple(parts), message, kind, item.get("input", _ABSENT))
    path, value = _walk(body, parts, to_absent=kind in _MISSING)
    match (item.get("ctx") or {}).get("error"):
        case SearchError() as error if error.at:
            path, value = _walk(body, [*path, *error.at], to_absent=True)
            message = error.reason
    if kind == UNKNOWN_KIND and isinstance(value, dict) and "kind" in value:
        path, value = [*path, "kind"], value["kind"]
    if kind in _MISSING:
        message = "expected a value, got none"
    if kind in _UNEXPECTED:
        message = "there is no such field here"
    return Finding("body", tuple(path), message, kind, value)


def _walk(
    body: object, parts: Sequence[str | int], *, to_absent: bool
) -> tuple[list[str | int], object]:
    """As far along the path as the body goes, and what lies there.

    Left out is what pydantic puts into a path that is no key: which member of a union it tried.
    With `to_absent` the first key that is not there ends the path; otherwise the one before it.
    """
    path: list[str | int] = []
    value = body
    for part in parts:
        if isinstance(part, str) and part.startswith(TAG):
            continue
        value, parent = _step(value, part), value
        if value is _ABSENT:
            return ([*path, part], _ABSENT) if to_absent else (path, parent)
        path.append(part)
    return path, value


def _step(value: object, part: str | int) -> object:
    if isinstance(value, dict):
        return value.get(part, _ABSENT)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return _ABSENT


def _either(one: Finding, other: Finding) -> Finding:
    """Two findings about one field: what the members of a union would each have taken."""
    if other.message in one.message:
        return one
    also = other.message.removeprefix(_OPENING)
    return Finding(one.place, one.path, f"{one.message}, or {also}", one.kind, one.value)


def _described(value: object, *, quoted: bool) -> str:
    match value:
        case str():
            return repr(value[:_SHOWN]) if quoted else "text"
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return json.dumps(value)[:_SHOWN]
