"""The shape of the tree: short files, packages where there should be, names that say something."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("search", "service", "workers", "migrations", "sdk/src/trimtab")
FOLDERS = (*PACKAGES, "tests", "bench", "examples", "docker")
LONGEST = 400  # lines
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if not {".cache", "__pycache__", "node_modules"} & set(path.parts):
                yield path


def test_no_file_is_long() -> None:
    generated = ROOT / "migrations" / "versions"
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sources(*FOLDERS)
        if generated not in path.parents
    }
    assert len(lengths) > 100
    assert {path: n for path, n in lengths.items() if n > LONGEST} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_a_package_is_one(package: str) -> None:
    versions = ROOT / "migrations" / "versions"  # Alembic reads these by path
    folders = {path.parent for path in sources(package)} - {versions}
    assert folders
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("folder", ["bench", "docker", "examples", "tests"])
def test_what_is_no_package_does_not_look_like_one(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_files_are_named_after_what_they_hold() -> None:
    nameless = [path for path in sources(*FOLDERS) if path.stem in NAMELESS]
    assert nameless == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in sources("tests") if path.name.startswith("test_")]
    assert {name for name in names if names.count(name) > 1} == set()


def test_only_settings_read_the_environment_of_the_service() -> None:
    """Seen from the outside, a process of the service is its settings."""
    # Those that start other processes pass it on to them.
    allowed = {"service/settings.py", "service/commands.py", "service/suggester/children.py"}
    readers = {
        str(path.relative_to(ROOT))
        for path in sources("service", "search")
        if "os.environ" in path.read_text() or "os.getenv" in path.read_text()
    }
    assert {path for path in readers - allowed if not path.startswith("service/up/")} == set()
