"""A project may have packages called like ours: its program meets them, and our parts ours."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trimtab as tt

from tests.conftest import Server

DECOYS = ("service", "search", "workers", "migrations")

PROGRAM = """
import service, search, workers, migrations
import service.parts
import trimtab

def main(trial):
    for decoy in (service, search, workers, migrations):
        assert decoy.OURS is False, decoy.__file__
    assert service.parts.NUMBER == 7
    trial.report(0, loss=trial.config["x"] ** 2)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with packages of its own that bear our names, and a script."""
    folder = tmp_path / "project"
    for name in DECOYS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("OURS = False\n")
    (folder / "service" / "parts.py").write_text("NUMBER = 7\n")
    (folder / "train.py").write_text(PROGRAM)
    return folder


@pytest.fixture
def processes(server: Server, project: Path, tmp_path: Path) -> Iterator[None]:
    """A suggester and a fleet, started in the project's folder as its owner would."""
    environment = os.environ | {
        "TRIMTAB_URL": server.url,
        "TRIMTAB_API_KEY": server.key,
        "TRIMTAB_DATABASE_URL": server.database_url,
        "TRIMTAB_HOME": str(tmp_path / "home"),
    }
    trimtab = [sys.executable, "-P", "-m", "trimtab"]
    commands = [["suggest"], ["fleet", "--code", ".", "--cpus", "1"]]
    started = [subprocess.Popen([*trimtab, *c], cwd=project, env=environment) for c in commands]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        assert [process.wait(30) for process in started] == [0, 0]


def test_a_project_with_packages_of_our_names_runs(server: Server, processes: None) -> None:
    with tt.Client(server.url, server.key) as client:
        study = client.create_study(
            "decoys", space=[tt.Float("x", -1, 1)], minimize="loss", budget=tt.Budget(trials=3)
        )
        study.run("train.py:main", resources={"cpu": 1}).wait()
        states = [trial.state for trial in study.results()]
    assert states == ["completed"] * 3
