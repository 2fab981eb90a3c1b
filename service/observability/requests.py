"""Around every request: its id, its line in the log, its count, and the last net under it."""

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import InternalError
from service.http.problems import respond
from service.observability.logs import log, where
from service.observability.metrics import REQUESTS, SECONDS

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._-]{8,64}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


class Requests:
    """ASGI middleware; the outermost of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        one = _Request(scope, send)
        with structlog.contextvars.bound_contextvars(request_id=one.id):
            try:
                await self._app(scope, receive, one.send)
            except Exception as error:
                log.error("request failed", error=where(error), method=scope["method"])
                if not one.status:
                    await respond(one.id, InternalError())(scope, receive, one.send)
            finally:
                one.record()


class _Request:
    def __init__(self, scope: Scope, send: Send) -> None:
        self.id = _request_id(scope)
        self.status = 0
        self._scope = scope
        self._send = send
        self._started = time.perf_counter()
        scope.setdefault("state", {})["request_id"] = self.id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[HEADER] = self.id
            for name, value in _SECURITY.items():
                headers.setdefault(name, value)
        await self._send(message)

    def record(self) -> None:
        seconds = time.perf_counter() - self._started
        route = _route(self._scope)
        method = self._scope["method"] if route != "none" else "any"
        # A client that left before the answer began counts as 499, as nginx has it.
        status = self.status or 499
        REQUESTS.labels(method, route, status).inc()
        SECONDS.labels(method, route).observe(seconds)
        if route not in _QUIET:
            log.info("request", method=method, route=route, status=status, ms=round(seconds * 1e3))


def _route(scope: Scope) -> str:
    """The route's template; the app hangs its routers under /v1, which they do not know."""
    route = getattr(scope.get("route"), "path", None)
    if route is None:
        return "none"
    return f"/v1{route}" if scope["path"].startswith("/v1/") else str(route)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(HEADER, "")
    return given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
