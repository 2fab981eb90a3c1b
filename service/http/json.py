"""Reading JSON bodies from people who do not wish us well.

What FastAPI reads by default lets through NaN, repeated keys, numbers that overflow, text that
Postgres cannot store, nesting that exhausts the stack and bodies of any size.  Routers use
`route_class=StrictRoute` (or BulkRoute, for enqueue and import), which lets through none of these.
"""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from service.errors import BodyTooLarge, InvalidJson, UnsupportedMediaType
from service.http.fields import LONGEST_FIELD
from service.http.misfits import is_finite, is_storable, is_whole, misfit_at
from service.settings import Settings

MAX_DEPTH = 16
BODY_SECONDS = 30.0  # for the whole body to arrive
_JSON_TYPE = re.compile(r"application/([a-z0-9.+-]+\+)?json\s*(;|$)", re.IGNORECASE)
# Escapes that may hold what Postgres cannot store; the walk over the values then says for sure.
_SUSPECT = re.compile(rb"\\u(0000|[dD][89a-fA-F])")


class StrictRoute(APIRoute):
    """A route whose JSON body is read strictly, and whose size is limited."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_strictly(request: Request) -> Response:
            limit = self.largest_body(request.app.state.settings)
            await read_json(request, limit)
            return await handle(request)

        return handle_strictly

    def largest_body(self, settings: Settings) -> int:
        """The most bytes that a body may have."""
        return settings.max_body_bytes


class BulkRoute(StrictRoute):
    """A route that takes many items at once."""

    def largest_body(self, settings: Settings) -> int:
        return settings.max_batch_body_bytes


async def read_json(request: Request, limit: int) -> dict[str, Any] | None:
    """The JSON object in the request, None when it has no body.

    FastAPI then finds body and object already read, and goes on from there.
    """
    request._body = await read_body(request, limit)
    if not request._body:
        return None
    _check_media_type(request)
    found = request._json = parse(request._body)
    return found


async def read_body(request: Request, limit: int) -> bytes:
    """The body; raises BodyTooLarge as soon as it is known, before the rest is read."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _collect(request, limit)
    except TimeoutError:
        raise InvalidJson(f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None
    except ClientDisconnect:
        raise InvalidJson("the connection closed before the body had arrived") from None


async def _collect(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> BodyTooLarge:
    # What is left of the body is not read: the connection is of no further use.
    return BodyTooLarge(f"a body may have {limit} bytes here", headers={"Connection": "close"})


def _check_media_type(request: Request) -> None:
    if not _JSON_TYPE.match(request.headers.get("content-type", "")):
        raise UnsupportedMediaType("send the body with `Content-Type: application/json`")


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; raises InvalidJson and says what is wrong with it, and where."""
    try:
        return _parse(body)
    except InvalidJson as error:
        field = misfit_at(body.decode(errors="replace"))
        if not field:
            raise
        problem = {"in": "body", "field": field[:LONGEST_FIELD], "message": error.detail}
        raise InvalidJson(f"{problem['field']}: {error.detail}", errors=[problem]) from None


def _parse(body: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(body.decode())
    except RecursionError:
        raise InvalidJson(f"nested more than {MAX_DEPTH} levels deep") from None
    except UnicodeDecodeError:
        raise InvalidJson("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{error.msg} at character {error.pos}") from None
    if not isinstance(value, dict):
        raise InvalidJson("expected a JSON object")
    # Fewer brackets than levels cannot nest too deep: most bodies need no walk.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH or _SUSPECT.search(body):
        _walk(value, 1)
    return value


def _walk(value: object, depth: int) -> None:
    if depth > MAX_DEPTH + 1:
        raise InvalidJson(f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for name, item in value.items():
            _check_text(name)
            _walk(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _walk(item, depth + 1)
    elif isinstance(value, str):
        _check_text(value)


def _check_text(text: str) -> None:
    if text.isascii() and "\x00" not in text:
        return
    if not is_storable(text):
        raise InvalidJson("text may hold no NUL character and no lone surrogate")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidJson("an object has the same key twice")
    return found


def _integer(text: str) -> int:
    if not is_whole(text):
        raise InvalidJson("an integer must lie within ±2**53")
    return int(text)


def _number(text: str) -> float:
    if not is_finite(text):
        raise InvalidJson("a number is too large for a 64-bit float")
    return float(text)


def _constant(text: str) -> float:
    raise InvalidJson(f"{text} is no JSON; where a metric may be non-finite, send it as a string")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
