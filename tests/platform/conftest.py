"""Folders for tests of `trimtab up`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.running import open_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account of the machine may enter, unlike pytest's own."""
    with open_folder() as made:
        yield made
