"""Folders for tests of `trimtab up`."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account of the machine may enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="trimtab-up-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)
