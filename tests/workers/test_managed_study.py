"""A managed study from end to end: API, suggester, fleet, Ray, children, the recipe."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trimtab as tt

from tests.conftest import Server
from workers.recipes.torch_classifier.space import DEFAULTS, space


@pytest.fixture
def run_key(server: Server) -> str:
    """A key such as a fleet gets."""
    with server.client() as admin:
        made = admin.post("/v1/keys", json={"name": "fleet", "scopes": ["read", "run"]})
        made.raise_for_status()
        return str(made.json()["key"])


@pytest.fixture
def processes(server: Server, run_key: str, tmp_path: Path) -> Iterator[None]:
    """A suggester that knows the database, and a fleet that does not."""
    home = os.environ | {"TRIMTAB_HOME": str(tmp_path / "home")}
    database = home | {"TRIMTAB_DATABASE_URL": server.database_url}
    network = home | {"TRIMTAB_URL": server.url, "TRIMTAB_API_KEY": run_key}
    trimtab = [sys.executable, "-P", "-m", "trimtab"]
    started = [
        subprocess.Popen([*trimtab, "suggest"], env=database),
        subprocess.Popen([*trimtab, "fleet", "--cpus", "2"], env=network),
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        assert [process.wait(30) for process in started] == [0, 0]


def test_the_recipe_is_tuned_on_ray(server: Server, processes: None) -> None:
    with tt.Client(server.url, server.key) as client:
        study = client.create_study(
            "wine",
            space=[parameter for parameter in space() if parameter.name != "model"],
            minimize="val_loss",
            searcher="sobol",
            scheduler="full",
            budget=tt.Budget(trials=6),
        )
        arguments = {"data": "wine", "epochs": 6, "checkpoint_every": 2}
        study.run("torch-classifier", arguments, resources={"cpu": 1}, parallel=2).wait()
        trials = {trial.number: trial for trial in study.results()}
        best = study.best

    assert sorted(trials) == [0, 1, 2, 3, 4, 5]
    assert trials[0].config["lr"] == DEFAULTS.lr  # the defaults come first
    completed = [trial for trial in trials.values() if trial.state == "completed"]
    # A learning rate of 0.1 may diverge; nothing else may go wrong.
    assert {trial.state for trial in trials.values()} <= {"completed", "infeasible"}
    for trial in completed:
        assert trial.last_step == 6
        assert {"val_loss", "val_accuracy", "test_accuracy"} <= set(trial.values)
        assert trial.attempt == 1
    assert best is not None
    assert best.values["val_loss"] == min(trial.values["val_loss"] for trial in completed)
    with server.client() as reader:
        (recipe,) = reader.get("/v1/recipes").json()["items"]
        agents = reader.get("/v1/fleet").json()["items"]
    assert recipe["name"] == "torch-classifier"
    assert {agent["study"] for agent in agents} == {study.id}
