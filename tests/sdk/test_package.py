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


def test_the_example_of_the_readme_runs(fake, clock, wire, monkeypatch, capsys):
    import re
    from pathlib import Path

    import httpx
    from trimtab._transport import Transport

    (readme,) = [
        path / "README.md"
        for path in Path(trimtab.__file__).parents
        if (path / "pyproject.toml").exists() and path.name == "sdk"
    ]
    (example,) = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.setenv("TRIMTAB_URL", "http://127.0.0.1:8787")
    monkeypatch.setattr(
        "trimtab.client.Transport",
        lambda address, **given: Transport(
            address, **given | {"transport": fake.transport(), "clock": clock}
        ),
    )
    fake.script["/best"] = [httpx.Response(200, json={"trial": wire.trial(2)})]
    exec(example, {"train_epoch": lambda config: 0.5})
    assert [len(fake.measured[f"tr_{n}"]) for n in range(3)] == [50, 50, 50]
    assert "number=2" in capsys.readouterr().out
