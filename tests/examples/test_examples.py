"""Every file of examples/ runs as its first lines say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from trimtab import Client

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(environment, tmp_path):
    """Run an example in a folder of its own, and return what it printed."""

    def go(*command, seconds=240):
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=seconds
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return go


@pytest.fixture
def client(trimtab):
    with Client(trimtab.url, trimtab.key) as made:
        yield made


def test_every_example_is_run_by_a_test_here():
    tested = Path(__file__).read_text()
    for example in EXAMPLES.iterdir():
        if example.is_file():
            assert f'"{example.name}"' in tested


def test_ask_and_tell_in_five_lines(run, client):
    assert "'loss'" in run(sys.executable, EXAMPLES / "ask_tell.py")
    study = client.study("ask-tell")
    assert study.state == "completed"
    assert study.info.trials.completed == 20
    # 20 trials of a bowl: far better than the 9 to expect of one random point.
    assert study.best.values["loss"] < 2


def test_a_scikit_learn_model(run, client):
    said = run(sys.executable, EXAMPLES / "sklearn_model.py", "--trials", "5")
    assert float(re.search(r"on unseen data: ([\d.]+)", said)[1]) > 0.9
    study = client.study("breast-cancer")
    assert study.info.trials.completed == 5
    # Trial 0 is the defaults, which any best must match.
    first = study.result(0)
    assert first.config["max_leaf_nodes"] == 31
    assert study.best.values["accuracy"] >= first.values["accuracy"]


def test_a_torch_script_by_hand(run, client):
    script = EXAMPLES / "torch_script.py"
    said = run(sys.executable, script, "--trials", "6", "--name", "spirals-by-hand")
    info = client.study("spirals-by-hand").info
    assert info.trials.completed + info.trials.stopped == 6
    assert f"{info.trials.completed} completed, {info.trials.stopped} stopped early" in said


def test_the_same_torch_script_on_the_fleet(run, client):
    managed = ["--managed", "torch_script.py:main"]
    script = EXAMPLES / "torch_script.py"
    run(sys.executable, script, "--trials", "4", "--name", "spirals-managed", *managed)
    study = client.study("spirals-managed")
    assert study.info.trials.completed + study.info.trials.stopped == 4
    assert study.best.checkpoint is None or study.best.checkpoint.step in {4, 9}
    ran_on = {attempt.worker for t in study.results() for attempt in study.result(t).attempts}
    assert ran_on
    assert not any(worker.startswith("curl") for worker in ran_on)


def test_curl_alone(run, client):
    said = run("bash", EXAMPLES / "curl.sh").splitlines()
    trials = [line for line in said if line.startswith("tr_")]
    assert [line.split()[-1] for line in trials] == ["completed"] * 3
    losses = [float(re.search(r"loss=([\d.]+)", line)[1]) for line in trials]
    best = json.loads(said[-1])["trial"]
    assert best["values"]["loss"] == min(losses)
    assert next(client.studies()).state == "completed"
