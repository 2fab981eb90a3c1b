"""What the fleet's controller asks of the service.  Agents use the SDK's own leases."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from trimtab._retry import Retry
from trimtab._transport import Call, Transport

_PAGE = 200
# The controller comes back within seconds anyway.
_LIST = Retry(patience=5.0, cap=2.0)
_BEAT = Retry(patience=2.0, cap=1.0)


class FleetApi(Protocol):
    """What the controller needs.  Every call raises the errors of `trimtab.errors`."""

    def active_studies(self) -> Sequence[Mapping[str, Any]]:
        """All active studies, as they are listed."""
        ...

    def beat(self, body: Mapping[str, Any]) -> None:
        """Say what the fleet has."""
        ...


class HttpFleetApi:
    """A FleetApi over the SDK's transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def active_studies(self) -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        cursor = None
        while True:
            params = {"state": "active", "limit": _PAGE, "cursor": cursor}
            call = Call("GET", "/v1/studies", params=params, timeout=5)
            page = self._transport.send(call, _LIST).body
            found.extend(page["items"])
            cursor = page["next"]
            if cursor is None:
                return found

    def beat(self, body: Mapping[str, Any]) -> None:
        self._transport.send(Call("POST", "/v1/fleet:heartbeat", body, timeout=5), _BEAT)
