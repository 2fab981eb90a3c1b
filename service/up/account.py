"""Which user of the machine runs PostgreSQL: ourselves, or as root an account of its own.

PostgreSQL refuses to run as root.  We give it an account without a shell or a home, and never
loosen the permissions of a folder that is not ours: what the account cannot reach goes elsewhere.
"""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "trimtab-postgres"


class NoAccount(RuntimeError):
    """As root, no account for PostgreSQL could be made."""


@dataclass(frozen=True)
class Account:
    """A user of the machine; `uid` is None for ourselves."""

    uid: int | None = None
    gid: int | None = None

    def run(
        self, command: Sequence[str | Path], *, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this user in a session of its own, so that a Ctrl-C spares it."""
        # Output goes through a file: a server that pg_ctl starts would hold a pipe open for ever.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            done = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                timeout=timeout,
                check=False,
                user=self.uid,
                group=self.gid,
                extra_groups=[] if self.uid is not None else None,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")

    def reaches(self, folder: Path) -> bool:
        """Whether the account can enter the folder."""
        return self.run(["/bin/sh", "-c", 'cd "$1"', "sh", folder]).returncode == 0

    def write(self, path: Path, text: str) -> None:
        """Write a file as this user: as root we follow no link in a folder that is not ours."""
        done = self.run(["/bin/sh", "-c", 'umask 077; printf %s "$2" > "$1"', "sh", path, text])
        if done.returncode != 0:
            raise OSError(f"cannot write {path}: {done.stdout.strip()}")

    def own(self, path: Path) -> None:
        """Hand a file or folder that we made over to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def server_account() -> Account:
    """The account that PostgreSQL runs as; as root it is added to the machine when it is missing.

    Raises NoAccount when it cannot be added.
    """
    if os.geteuid() != 0:
        return Account()
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        entry = _add_account()
    return Account(entry.pw_uid, entry.pw_gid)


def _add_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/false"]
    try:
        subprocess.run([*command, ACCOUNT], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        raise NoAccount(
            f"PostgreSQL does not run as root, and the account {ACCOUNT} could not be added: "
            f"{said}. Run `trimtab up` as an ordinary user, or set TRIMTAB_DATABASE_URL to a "
            "PostgreSQL server of your own."
        ) from error
    return pwd.getpwnam(ACCOUNT)
