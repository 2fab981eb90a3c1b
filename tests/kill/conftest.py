"""Folders for systems that are killed, and whole systems to kill."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.kill import processes
from tests.kill.byhand import ByHand
from tests.kill.program import train
from tests.kill.upstart import Up
from tests.kill.waiting import await_found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path that every account of the machine may enter, with the program in `code`."""
    made = Path(tempfile.mkdtemp(prefix="ttkill-", dir="/tmp"))
    made.chmod(0o755)
    (made / "code").mkdir()
    shutil.copy(train.__file__, made / "code" / "train.py")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Up]:
    """A running `trimtab up`; after its end nothing of it may be left."""
    one = Up(folder)
    try:
        one.start()
        yield one
        assert one.stop() == 0, one.said
        await_found(lambda: not processes.started_in(folder), seconds=10, what=_left(folder))
        assert ray_folders(one.fleets) == []
    finally:
        one.end()
        show(folder.rglob("*.log"))


@pytest.fixture
def by_hand(folder: Path, database_url: str) -> Iterator[ByHand]:
    """A migrated database, and parts of a cluster to be started one by one."""
    one = ByHand(folder, database_url)
    try:
        one.migrate()
        yield one
        one.stop()
        await_found(lambda: not processes.started_in(folder), seconds=10, what=_left(folder))
    finally:
        one.end()
        show(folder.glob("*.log"))


def show(logs: Iterable[Path]) -> None:
    """Print the ends of logs, for pytest to show should the test have failed."""
    for log in logs:
        print(f"--- {log}\n{log.read_text(errors='replace')[-4000:]}")


def ray_folders(fleets: set[int]) -> list[str]:
    """What the local Rays of these fleets have left in /tmp."""
    names = [path.name for path in Path("/tmp").glob(f"trimtab-ray-{os.getuid()}-*")]
    return [name for name in names if int(name.split("-")[3]) in fleets]


def _left(folder: Path) -> str:
    left = [" ".join(processes.command(p))[:120] for p in processes.started_in(folder)]
    return f"the end of what was started: {left}"
