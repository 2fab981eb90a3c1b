"""What of JSON this service does not take, and where in a body the first of it stands."""

import json
import math
from typing import Any

MAX_INTEGER = 2**53  # what a JSON number holds exactly in every language


class _Misfit:
    """Stands where a number is that is not taken."""


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written, keys that repeat among them."""


def is_whole(text: str) -> bool:
    """Whether an integer is one that is taken."""
    return len(text) <= 17 and abs(int(text)) <= MAX_INTEGER


def is_finite(text: str) -> bool:
    """Whether a number fits a 64-bit float."""
    return math.isfinite(float(text))


def is_storable(text: str) -> bool:
    """Whether Postgres can store the text."""
    return "\x00" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def misfit_at(body: str) -> str | None:
    """The path of the first value that is not taken, as in space.parameters.0.low.

    None where the text is no JSON at all, or nests too deep.  It reads a refused body once more, so
    that reading the good ones costs nothing.
    """
    try:
        path = _find(_DECODER.decode(body))
    except (ValueError, RecursionError):
        return None
    return None if path is None else ".".join(reversed(path))


def _find(value: object) -> list[str] | None:
    """The path to the first misfit, its last part first."""
    if isinstance(value, _Misfit):
        return []
    if isinstance(value, str):
        return None if is_storable(value) else []
    if isinstance(value, _Pairs):
        path = _first(value)
        return _repeated(value) if path is None else path
    if isinstance(value, list):
        return _first([(str(place), item) for place, item in enumerate(value)])
    return None


def _first(items: list[tuple[str, Any]]) -> list[str] | None:
    for name, item in items:
        if not is_storable(name):
            return []
        if (path := _find(item)) is not None:
            return [*path, name]
    return None


def _repeated(pairs: _Pairs) -> list[str] | None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return [name]
        seen.add(name)
    return None


def _integer(text: str) -> object:
    return int(text) if is_whole(text) else _Misfit()


def _number(text: str) -> object:
    return float(text) if is_finite(text) else _Misfit()


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_int=_integer,
    parse_float=_number,
    parse_constant=lambda _: _Misfit(),
)
