import subprocess
import sys
from importlib.metadata import version

import pytest
import trimtab

HEAVY = {"numpy", "torch", "pandas", "ray", "fastapi", "sqlalchemy", "fsspec", "scipy"}
OURS = {"service", "search", "workers", "migrations"}


def loaded(statement):
    """The modules that a fresh process holds after the statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_the_import_is_light():
    modules = loaded("import trimtab")
    assert not modules & (HEAVY | OURS)
    assert "typer" not in modules, "only the command line needs it"


def test_the_command_line_is_light():
    assert not loaded("import trimtab.cli.app") & (HEAVY | OURS)


def test_the_public_names_are_sorted_there_and_no_more():
    assert trimtab.__all__ == sorted(trimtab.__all__)
    for name in trimtab.__all__:
        assert getattr(trimtab, name) is not None
    own = {
        name
        for name, thing in vars(trimtab).items()
        if not name.startswith("_") and getattr(thing, "__module__", "").startswith("trimtab")
    }
    assert own <= set(trimtab.__all__)


def test_the_version_is_that_of_the_distribution():
    assert trimtab.__version__ == version("trimtab")


@pytest.mark.parametrize("name", [n for n in trimtab.__all__ if n[0].isalpha()])
def test_every_public_name_says_what_it_is_for(name):
    assert getattr(trimtab, name).__doc__


def test_files_stay_small():
    from pathlib import Path

    folder = Path(trimtab.__file__).parent
    for path in folder.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 400, path
