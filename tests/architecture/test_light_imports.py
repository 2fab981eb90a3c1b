"""What is imported is what is needed: each checked in a fresh process."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "scipy", "ray", "botorch", "gpytorch", "sklearn", "pandas", "numpy")


def loaded(statement: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after the statement."""
    program = f"import sys\n{statement}\nprint(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import service.app", {*HEAVY, "workers", "alembic"}),
        (
            "from service.openapi import main; main(['--check'])",
            {*HEAVY, "workers", "alembic"},
        ),
        ("import service.commands", {*HEAVY, "fastapi"}),
        ("import search.registry", {*HEAVY, "pydantic", "sqlalchemy", "fastapi"}),
        (
            "import trimtab",
            {*HEAVY, "service", "search", "workers", "sqlalchemy", "fastapi", "typer"},
        ),
        ("import trimtab.child", {*HEAVY, "service", "search", "workers", "sqlalchemy"}),
        ("import workers", {*HEAVY, "service", "search", "sqlalchemy", "psycopg"}),
    ],
)
def test_an_import_brings_nothing_heavy(statement: str, forbidden: set[str]) -> None:
    assert loaded(statement) & forbidden == set()


def test_the_check_sees_what_is_loaded() -> None:
    assert "numpy" in loaded("import numpy")
