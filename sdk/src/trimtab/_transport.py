"""The one way to the server: requests, retries, errors.

Every request may be sent twice without harm: the client makes the lease ids, points have natural
keys, and what creates something carries an Idempotency-Key.  So whatever looks like an outage is
tried again.
"""

import logging
import threading
import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from trimtab import errors
from trimtab._address import Address
from trimtab._clock import Clock
from trimtab._retry import COLD, Retry, read_retry_after
from trimtab._version import OLDEST_SERVER, __version__, release

log = logging.getLogger("trimtab")
TRANSIENT = frozenset({408, 425, 429})
TRIES_BEFORE_A_WORD = 6  # a blip is not worth a line in the log; an outage is
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `path` stands after the server's URL.  `timeout` is in seconds."""

    method: str
    path: str
    body: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 30.0

    def once(self) -> "Call":
        """The call with an Idempotency-Key of its own: sent twice, it has one effect."""
        headers = {**self.headers, "Idempotency-Key": str(uuid.uuid4())}
        return Call(self.method, self.path, self.body, self.params, headers, self.timeout)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; `sent_at` is when the request that got it was sent."""

    status: int
    body: Any
    sent_at: float

    def read(self, model: type[Model]) -> Model:
        """The body as the model; raises UnexpectedAnswer."""
        try:
            return model.model_validate(self.body)
        except ValidationError as error:
            raise errors.UnexpectedAnswer(
                f"the server's answer is no {model.__name__}: "
                "is the URL that of a Trimtab server, and are both up to date?"
            ) from error


class Cancelled(Exception):
    """A call was given up because its caller was asked to end."""


class Transport:
    """Sends calls to one server.  Safe to use from many threads.

    `transport` replaces the network (an httpx.MockTransport in tests); `patience` is how many
    seconds an ordinary call goes on trying while the server is away.
    """

    def __init__(
        self,
        address: Address,
        *,
        transport: httpx.BaseTransport | None = None,
        patience: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.address = address
        self.clock = clock or Clock()
        self.cold = COLD if patience is None else Retry(patience=patience)
        # A trial's calls go to a few paths, again and again; to parse one takes 0.1 ms.
        self._url = lru_cache(1024)(lambda path: httpx.URL(address.url.rstrip("/") + path))
        self._greeted = False
        self._greeting = threading.Lock()
        self._http = httpx.Client(
            headers=_headers(address),
            transport=transport,
            # A proxy of the environment cannot reach this machine's own loopback.
            trust_env=not address.local,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )
        # Most programs never close a client; its connections end with it, but not before the end
        # of the process, where open trials are given back.
        weakref.finalize(self, self._http.close).atexit = False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self, call: Call, retry: Retry | None = None, cancel: threading.Event | None = None
    ) -> Answer:
        """Send the call, again and again while the retry policy says so.

        Raises the ApiError that the server answered, ConnectionFailed, UnexpectedAnswer,
        VersionMismatch, or Cancelled once `cancel` is set.
        """
        retry = retry or self.cold
        if not self._greeted:
            self._greet(retry, cancel)
        return self._persist(call, retry, cancel)

    def stream(self, call: Call) -> Any:
        """The body as a stream of bytes: a context manager, as httpx.Client.stream."""
        if not self._greeted:
            self._greet(self.cold, None)
        return self._http.stream(
            call.method, self._url(call.path), params=_given(call.params), timeout=_timeout(call)
        )

    def _persist(self, call: Call, retry: Retry, cancel: threading.Event | None) -> Answer:
        began, tries = self.clock.now(), 0
        while True:
            tries += 1
            if cancel is not None and cancel.is_set():
                raise Cancelled
            try:
                return self._once(call)
            except _Transient as failure:
                wait = retry.wait(tries, failure.retry_after)
                if retry.gives_up(self.clock.now() - began + wait):
                    raise failure.error from failure.__cause__
                if tries == TRIES_BEFORE_A_WORD:
                    log.warning("%s (trying on)", failure)
            self.clock.sleep(wait, cancel)

    def _once(self, call: Call) -> Answer:
        sent_at = self.clock.now()
        try:
            response = self._http.request(
                call.method,
                self._url(call.path),
                json=call.body,
                params=_given(call.params),
                headers=dict(call.headers),
                timeout=_timeout(call),
            )
        except httpx.TransportError as error:
            raise _Transient(_unreachable(self.address, call, error)) from error
        except RuntimeError as error:
            # httpx says so of a client that was closed, perhaps by another thread just now.
            if not self._http.is_closed:
                raise
            raise errors.ConnectionFailed("the client is closed") from error
        return _answer(response, sent_at)

    def _greet(self, retry: Retry, cancel: threading.Event | None) -> None:
        with self._greeting:
            if self._greeted:
                return
            answer = self._persist(Call("GET", "/v1/version"), retry, cancel)
            _check_versions(answer.body, self.address.url)
            self._greeted = True


class _Transient(Exception):
    """A failed try that another one may cure."""

    def __init__(self, error: errors.TrimtabError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after


def raise_for(response: httpx.Response) -> None:
    """Raise what an answer that is no success means."""
    if response.status_code >= 400:
        raise errors.api_error(response.status_code, _problem(response))


def _answer(response: httpx.Response, sent_at: float) -> Answer:
    status = response.status_code
    if status >= 500 or status in TRANSIENT:
        retry_after = read_retry_after(response.headers.get("Retry-After"))
        raise _Transient(errors.api_error(status, _problem(response)), retry_after)
    raise_for(response)
    if status == 204 or not response.content:
        return Answer(status, None, sent_at)
    try:
        return Answer(status, response.json(), sent_at)
    except ValueError as error:
        # A proxy's page while the server restarts, or no Trimtab at all: patience decides which.
        url = response.request.url
        raise _Transient(
            errors.UnexpectedAnswer(f"{url} answered {status} with something that is no JSON")
        ) from error


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _headers(address: Address) -> dict[str, str]:
    headers = {"User-Agent": f"trimtab/{__version__}", "Accept": "application/json"}
    return headers | ({"Authorization": f"Bearer {address.key}"} if address.key else {})


def _given(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The parameters that have a value; None for none, since httpx parses a URL anew for any."""
    return {name: value for name, value in params.items() if value is not None} or None


def _timeout(call: Call) -> httpx.Timeout:
    return httpx.Timeout(call.timeout, connect=min(5.0, call.timeout), pool=None)


def _unreachable(
    address: Address, call: Call, error: httpx.TransportError
) -> errors.ConnectionFailed:
    if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
        return errors.ConnectionFailed(f"{address.url} did not answer within {call.timeout:g} s")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        remedy = "start one with `trimtab up`" if address.local else "check TRIMTAB_URL"
        return errors.ConnectionFailed(f"no server at {address.url}: {remedy}")
    return errors.ConnectionFailed(f"the connection to {address.url} broke: {error}")


def _check_versions(body: Any, url: str) -> None:
    if not (isinstance(body, dict) and {"server", "oldest_sdk"} <= body.keys()):
        raise errors.UnexpectedAnswer(f"{url} answers, but it is no Trimtab server")
    server, oldest = str(body["server"]), str(body["oldest_sdk"])
    if release(__version__) < release(oldest):
        raise errors.VersionMismatch(
            f"this is trimtab {__version__}, but the server at {url} needs at least {oldest}: "
            "pip install --upgrade trimtab"
        )
    if release(server) < release(OLDEST_SERVER):
        raise errors.VersionMismatch(
            f"trimtab {__version__} needs a server of at least {OLDEST_SERVER}, "
            f"but the one at {url} is {server}: upgrade it, or install an older trimtab"
        )
