"""Which server to speak to, and with which key."""

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from trimtab.errors import NoServer
from trimtab.home import home

DEFAULT_URL = "http://127.0.0.1:8787"


@dataclass(frozen=True, slots=True)
class Address:
    """A server's URL and the API key for it."""

    url: str
    key: str | None = field(default=None, repr=False)

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def find(
    url: str | None = None, key: str | None = None, environ: Mapping[str, str] | None = None
) -> Address:
    """The address from the arguments, else TRIMTAB_URL and TRIMTAB_API_KEY, else credentials.json.

    A stored key goes to the server it was stored for, and to no other.  Raises NoServer.
    """
    environ = os.environ if environ is None else environ
    url = url or environ.get("TRIMTAB_URL")
    key = key or environ.get("TRIMTAB_API_KEY")
    stored = None if url and key else _stored(home() / "credentials.json")
    if url is None and stored is None:
        raise NoServer(
            f"no server at {DEFAULT_URL}: start one with `trimtab up`, "
            "or set TRIMTAB_URL and TRIMTAB_API_KEY"
        )
    if stored and (url is None or _same(url, stored.url)):
        return Address(_checked(url or stored.url), key or stored.key)
    return Address(_checked(url or DEFAULT_URL), key)


def _stored(path: Path) -> Address | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NoServer(f"cannot read {path}: {error.strerror}") from error
    try:
        found = json.loads(text)
        return Address(str(found["url"]), str(found["key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise NoServer(
            f"{path} does not hold a url and a key: remove it and run `trimtab up`"
        ) from error


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NoServer(f"expected a URL such as {DEFAULT_URL}, got {url!r}")
    return url.rstrip("/")
