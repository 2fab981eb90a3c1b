"""`trimtab prefer`: what it asks, what it tells, what it refuses; once on a terminal of its own."""

import json
import os
import pty
import subprocess
import sys
from itertools import combinations

import pytest
import structlog
import trimtab as tt
from trimtab.cli import preferring
from trimtab.cli.app import app
from trimtab.cli.preferring import pairs
from trimtab.models import TrialInfo
from typer.testing import CliRunner

SPACE = [tt.Float("x", 0.0, 1.0), tt.Choice("font", ["serif", "sans"])]


@pytest.fixture(autouse=True)
def quiet():
    """The server runs in this process: its log is no output of the command."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.configure(**before)


@pytest.fixture
def client(server):
    with tt.Client(server.url, server.key) as client:
        yield client


@pytest.fixture
def study(client):
    """A study of three trials, all run, that nobody has judged yet."""
    study = client.create_study(
        "posters",
        space=SPACE,
        prefer="taste",
        budget=tt.Budget(trials=3),
        first=[{"x": x, "font": "serif"} for x in (0.1, 0.2, 0.3)],
    )
    for trial in study.trials():
        trial.report(1, seconds=2.0)
        trial.attributes = {"picture": f"{trial.number}.png"}
        trial.complete()
    return study


@pytest.fixture
def run(server, monkeypatch):
    """Runs the command line on the real server; `said` is what is typed at a terminal."""
    monkeypatch.setenv("TRIMTAB_URL", server.url)
    monkeypatch.setenv("TRIMTAB_API_KEY", server.key)

    def invoke(*args, said=None):
        monkeypatch.setattr(preferring, "on_terminal", lambda: said is not None)
        return CliRunner().invoke(app, ["prefer", *args], input=said)

    return invoke


def told(study):
    return [[trial.number for trial in answer.ranking] for answer in study.preferences()]


# Which pairs


def numbered(wire, *trials):
    """Completed trials: a number each, and what it is to be compared with."""
    return [
        TrialInfo.model_validate(
            wire.trial(n, origin={} if other is None else {"compare_with": other})
        )
        for n, other in trials
    ]


def asked(found):
    return [(one.number, other.number) for one, other in found]


def test_without_answers_pairs_come_from_the_latest_trials_back(wire):
    trials = numbered(wire, (0, None), (2, None), (3, None))
    assert asked(pairs(trials, (), None)) == [(2, 3), (0, 3), (0, 2)]


def test_trials_in_no_answer_come_first_beside_whom_the_searcher_names_or_the_best(wire):
    trials = numbered(wire, (0, None), (1, None), (2, None), (3, 0), (4, None), (5, 9))
    found = asked(pairs(trials, {0, 1, 2}, 1))
    assert found[:2] == [(1, 4), (0, 3)]  # 9 is not completed
    assert found[2:] == sorted(combinations(range(6), 2), reverse=True)


def test_one_trial_makes_no_pair(wire):
    assert asked(pairs(numbered(wire, (0, 0)), (), 0)) == []


# Given as arguments


def test_an_answer_is_told(run, study):
    assert run("posters", "1", "0").output == "trial 1 is better than 0\n"
    assert run("posters", "2", "1", "0").output == "trial 2 is better than 1, then 0\n"
    assert told(study) == [[1, 0], [2, 1, 0]]
    answer = json.loads(run("posters", "0", "2", "--json").output)
    assert [trial["number"] for trial in answer["ranking"]] == [0, 2]


WRONG = [
    (["7"], 2, "Invalid value for TRIALS: give two numbers at least"),
    (["0", "1", "0"], 2, "Invalid value for TRIALS: trial 0 stands there twice"),
    (["best", "1"], 2, "'TRIALS': "),
    (["0", "7"], 1, "trimtab: rankings.0.1: the study has no trial 7"),
    ([], 2, "Invalid value for TRIALS: nobody can be asked here"),
    (["--json"], 2, "Invalid value for --json: it goes with numbers"),
]


def test_wrong_answers_are_refused_by_name(run, study):
    for given, code, message in WRONG:
        refused = run("posters", *given)
        assert refused.exit_code == code
        assert message in " ".join(refused.stderr.replace("│", " ").split())
    assert told(study) == []


def test_a_study_that_measures_takes_no_answers(run, client):
    client.create_study("digits", space=SPACE, minimize="loss")
    for said in (["1", "0"], []):
        refused = run("digits", *said, said="q\n")
        assert refused.exit_code == 2
        assert "digits goes by loss, which is measured" in refused.stderr.replace("\n", " ")


# Asked


def test_a_person_is_asked_until_nothing_waits(run, study):
    shown = run("posters", said="7\n2\n2\n0\n")
    assert told(study) == [[2, 1], [2, 0], [0, 1]]
    assert "give 1, 2, s or q" in shown.output
    assert shown.output.endswith("no two completed trials wait for an answer\n")
    lines = [line.split() for line in shown.output.split("\n")]
    assert lines[:5] == [
        ["trial", "1", "trial", "2"],
        ["x", "0.2", "0.3", "≠"],
        ["font", "serif", "serif"],
        ["seconds", "2", "2"],
        ["picture", "1.png", "2.png", "≠"],
    ]
    assert run("posters", said="").output == "no two completed trials wait for an answer\n"


def test_what_is_skipped_is_not_asked_again_and_told_to_nobody(run, study):
    shown = run("posters", said="s\ns\n1\nq\n")
    assert shown.exit_code == 0
    assert told(study) == [[1, 0]]


@pytest.mark.parametrize("said", ["q\n", ""], ids=["q", "end of input"])
def test_it_may_be_left_at_any_time(run, study, said):
    shown = run("posters", said="2\n" + said)
    assert shown.exit_code == 0
    assert told(study) == [[2, 1]]


def test_on_a_terminal_it_asks_without_being_told_to(server, study):
    here, there = pty.openpty()
    environment = os.environ | {"TRIMTAB_URL": server.url, "TRIMTAB_API_KEY": server.key}
    asking = subprocess.Popen(
        [sys.executable, "-m", "trimtab", "prefer", "posters"],
        stdin=there,
        stdout=there,
        stderr=there,
        env=environment,
    )
    os.write(here, b"2\nq\n")
    assert asking.wait(60) == 0
    assert told(study) == [[2, 1]]
    assert b"trial 2 is better than 1" in os.read(here, 100_000)
    os.close(here)
    os.close(there)
