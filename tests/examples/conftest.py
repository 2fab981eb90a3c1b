"""One `trimtab up` for all examples, as a reader of the README has it."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.running import RunningUp, open_folder, processes_in

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def trimtab() -> Iterator[RunningUp]:
    """A running Trimtab whose fleet may run the programs of examples/."""
    with open_folder() as folder:
        up = RunningUp(folder / "home", TRIMTAB_CODE=str(ROOT / "examples")).ready()
        yield up
        up.process.terminate()
        assert up.wait() == 0
        assert processes_in(folder) == []


@pytest.fixture
def environment(trimtab: RunningUp) -> dict[str, str]:
    """What a user's shell has after `trimtab up`: the virtual environment, and the server."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRIMTAB_")}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TRIMTAB_URL": trimtab.url,
        "TRIMTAB_API_KEY": trimtab.key,
        "COLUMNS": "120",
    }


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account of the machine may enter, unlike pytest's own."""
    with open_folder() as made:
        yield made
