import io
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from rich.console import Console
from trimtab import _view
from trimtab._watch import watch
from trimtab.models import Curve, StudyInfo, TrialInfo

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def shown(renderable):
    console = Console(file=io.StringIO(), width=140)
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("reason", "words"),
    [("trials", "all trials have run"), ("too warm in here", "too warm in here")],
)
def test_why_a_study_ended_is_said_in_words(wire, reason, words):
    info = StudyInfo.model_validate(wire.study(state="completed", state_reason=reason))
    assert f"completed ({words})" in shown(_view.render(info, {}, [], NOW))


def test_a_study_on_the_screen(wire):
    info = StudyInfo.model_validate(
        wire.study(
            budget={"trials": 4},
            trials={"completed": 2, "running": 1},
            started_at="2026-01-01T00:00:00Z",
            best={"trial": "tr_1", "number": 1, "value": 0.25, "config": {"lr": 0.1}},
        )
    )
    trials = {
        n: TrialInfo.model_validate(wire.trial(n, state="running" if n == 0 else "completed"))
        for n in range(3)
    }
    curve = {"trial": "tr_0", "number": 0, "state": "running", "metric": "loss", "total": 3}
    curve |= {"steps": [0, 1, 2], "values": [1.0, "NaN", 0.0]}
    text = shown(_view.render(info, trials, [Curve.model_validate(curve)], NOW))
    assert "digits  active  1 running, 2 completed  about 1:00:00 left" in text
    assert "best loss = 0.25  trial 1  lr=0.1" in text
    rows = [line.split() for line in text.splitlines()[-3:]]
    assert rows[0][:4] == ["0", "running", "0.5", "█"]
    assert rows[1][0] == "2"
    assert rows[2][:2] == ["1", "*"]


def test_a_study_without_trials(wire):
    info = StudyInfo.model_validate(wire.study(budget={}))
    text = shown(_view.render(info, {}, [], NOW))
    assert "no trials yet" in text
    assert "no completed trial yet" in text
    assert "left" not in text


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([float("nan")], ""),
        ([1.0], "▄"),
        ([2.0, 2.0], "▄▄"),
        ([0.0, 1.0], "▁█"),
        ([0.0, float("inf"), 7.0], "▁ █"),
    ],
)
def test_sparklines(values, line):
    assert _view.sparkline(values) == line


def test_a_long_curve_keeps_its_width_its_shape_and_its_end():
    line = _view.sparkline([float(n) for n in range(1000)], width=8)
    assert line == "▁▂▃▄▅▆▇█"


@pytest.mark.parametrize(
    ("budget", "finished", "seconds"),
    [
        ({"trials": 10}, 5, 3600.0),
        ({"trials": 10}, 0, None),
        ({"hours": 3}, 0, 7200.0),
        ({"trials": 10, "hours": 3}, 5, 3600.0),
        ({"hours": 0.5}, 0, 0.0),
        ({}, 5, None),
    ],
)
def test_the_time_that_is_left(wire, budget, finished, seconds):
    info = StudyInfo.model_validate(
        wire.study(
            budget=budget, trials={"completed": finished}, started_at=NOW - timedelta(hours=1)
        )
    )
    assert _view.time_left(info, NOW) == seconds


def test_durations():
    assert [_view.duration(s) for s in (5, 65.9, 3661)] == ["0:05", "1:05", "1:01:01"]


def test_a_terminal_gets_a_live_table(fake, study, wire):
    fake.script["/changes"] = [
        httpx.Response(200, json={"version": 1, "items": [wire.trial(0)], "state": "active"}),
        httpx.Response(200, json={"version": 1, "items": [], "state": "completed"}),
    ]
    fake.script["/curves"] = [httpx.Response(200, json={"items": []}) for _ in range(2)]
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    watch(study, console=console)
    assert "lr=0.1" in console.file.getvalue()
