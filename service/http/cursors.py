"""Cursors of lists: where the next page begins, as opaque text.

A cursor is the sort key of the last row, in JSON, in base64.  It is not signed: whoever changes it
gets another page of what they may read anyway, or a 422.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from service.errors import InvalidRequest
from service.schemas.base import Page

Row = TypeVar("Row")
Item = TypeVar("Item")


def encode(key: Sequence[Any]) -> str:
    """The cursor after the row with this sort key."""
    text = json.dumps(list(key), separators=(",", ":"), allow_nan=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, *kinds: type) -> list[Any]:
    """The sort key in a cursor, whose parts have these types; raises InvalidRequest."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _wrong() from None
    if not isinstance(key, list) or len(key) != len(kinds):
        raise _wrong()
    for part, kind in zip(key, kinds, strict=True):
        if type(part) is not kind or (isinstance(part, int) and abs(part) >= 2**63):
            raise _wrong()
        if isinstance(part, str) and ("\x00" in part or not _storable(part)):
            raise _wrong()
    return key


def page(
    rows: Sequence[Row],
    *,
    limit: int,
    item: Callable[[Row], Item],
    key: Callable[[Row], Sequence[Any]],
) -> Page[Item]:
    """A page of `limit` items out of rows read with `limit + 1`."""
    more = len(rows) > limit
    kept = rows[:limit]
    return Page(items=[item(row) for row in kept], next=encode(key(kept[-1])) if more else None)


def _storable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _wrong() -> InvalidRequest:
    field = {"in": "query", "field": "cursor", "message": "expected the `next` of a page"}
    return InvalidRequest("cursor: expected the `next` of a page", errors=[field])
