"""The folder in which one `trimtab up` keeps all that it makes."""

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Home:
    """pg, checkpoints, logs, secrets, credentials.json and up.pid, under one folder."""

    path: Path

    @property
    def pg(self) -> Path:
        """PostgreSQL's data, or a link to it."""
        return self.path / "pg"

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie unless TRIMTAB_STORAGE says otherwise."""
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        """One log for each process."""
        return self.path / "logs"

    @property
    def credentials(self) -> Path:
        """The server's address and a key, for the SDK and the commands of this user."""
        return self.path / "credentials.json"

    def prepare(self) -> None:
        """Make the folders, closed to others; folders that are there are left as they are."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.checkpoints, self.logs, self._secrets):
            folder.mkdir(mode=0o700, exist_ok=True)

    def secret(self, name: str) -> str:
        """A random secret that stays the same from one start to the next."""
        path = self._secrets / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text(encoding="utf-8").strip()

    def read_credentials(self) -> dict[str, str]:
        """What credentials.json says: url and key; empty when there is none or it is no JSON."""
        try:
            found: Any = json.loads(self.credentials.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_credentials(self, *, url: str, key: str) -> None:
        """Say where the server is and with which key, to this user only."""
        write_private(self.credentials, json.dumps({"url": url, "key": key}) + "\n")

    @property
    def _secrets(self) -> Path:
        return self.path / "secrets"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads; a reader sees the old or the new one, never half."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


class Claim:
    """The right to be the one `trimtab up` of a home, held by a lock that dies with the process.

    The file says who holds it and, once the server answers, its address.
    """

    def __init__(self, home: Home) -> None:
        self._path = home.path / "up.pid"
        self._file = self._path.open("a+", encoding="utf-8")

    def take(self) -> bool:
        """Take the lock, if nobody holds it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.say(url=None)
        return True

    def leave(self) -> None:
        """Let the next one take it."""
        self._file.close()

    def say(self, *, url: str | None) -> None:
        """Write down who we are and where the server is."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"pid": os.getpid(), "url": url}))
        self._file.flush()

    def read(self) -> dict[str, Any]:
        """What the holder wrote; empty while it is writing."""
        try:
            found: Any = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
