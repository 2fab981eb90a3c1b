"""Folders and processes for tests of `trimtab up`."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account of the machine may enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="trimtab-up-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Processes that were started for this folder: it stands in their command or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except psutil.Error:
            continue
        if process.pid != psutil.Process().pid and any(str(folder) in word for word in words):
            found.append(process)
    return found
