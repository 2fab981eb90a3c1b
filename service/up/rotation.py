"""Logs that cannot fill the disk."""

import shutil
from pathlib import Path

LIMIT = 10 * 2**20  # bytes of one log
KEPT = 3  # older pieces


def rotate(log: Path, *, limit: int = LIMIT, kept: int = KEPT) -> bool:
    """Move a log that has grown past the limit to .1, that to .2 and so on; whether it did.

    Its writer goes on with the same open file, which is copied and emptied: a line written in
    between is lost, and no process ever waits for a reader of its output.
    """
    if not log.exists() or log.stat().st_size <= limit:
        return False
    for number in range(kept, 1, -1):
        older = log.with_name(f"{log.name}.{number - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as file:
        file.truncate(0)
    return True


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for a message."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
