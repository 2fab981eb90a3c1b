"""What `trimtab up` asks of the API that it runs: whether it is ready, and a key for the fleet."""

from collections.abc import Callable
from pathlib import Path

import httpx

from service.auth.keys import new_key, public_part
from service.up.clock import wait_until
from service.up.home import Home, write_private
from service.up.parts import Part
from service.up.rotation import tail

READY_SECONDS = 90.0
# Reading is how the fleet finds the studies that want running.
FLEET_SCOPES = ["read", "run"]


class StartFailed(RuntimeError):
    """A part did not come up."""


def admin_key(home: Home) -> str:
    """The key of this home: the one in credentials.json, or a new one."""
    known = home.read_credentials().get("key", "")
    return known if public_part(known) else new_key()


def await_ready(url: str, api: Part, check: Callable[[], None]) -> None:
    """Wait until the API serves.  Raises StartFailed with the end of its log if it does not."""
    status = "no answer"

    def ready() -> bool:
        nonlocal status
        check()
        status = _readiness(url)
        return status == "ready" or not api.alive()

    wait_until(ready, READY_SECONDS, every=0.1)
    if status != "ready":
        why = status if api.alive() else api.ending()
        raise StartFailed(f"the API is not ready: {why}. {api.log} ends:\n{tail(Path(api.log))}")


def _readiness(url: str) -> str:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5)
        return str(answer.json().get("status", answer.status_code))
    except (httpx.HTTPError, ValueError) as error:
        return str(error) or type(error).__name__


def fleet_key(home: Home, url: str, key: str) -> str:
    """A key with which the fleet can run trials and no more; made once and kept in the home."""
    place = home.path / "secrets" / "fleet-key"
    known = place.read_text().strip() if place.exists() else ""
    if known and _call(url, known, "GET", "/v1/me").status_code == 200:
        return known
    asked = {"name": "fleet of `trimtab up`", "scopes": FLEET_SCOPES, "days": None}
    made = _call(url, key, "POST", "/v1/keys", asked)
    if made.status_code != 201:
        raise StartFailed(f"the API gives the fleet no key: {made.status_code} {made.text}")
    fresh = str(made.json()["key"])
    write_private(place, fresh)
    return fresh


def _call(url: str, key: str, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.request(method, url + path, headers=headers, json=body, timeout=30)
