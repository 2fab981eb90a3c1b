"""study.explain(), study.best of noisy objectives, `trimtab explain`."""

import json

import httpx
import pytest
import trimtab as tt
from trimtab._explained import bar
from trimtab.cli.app import app
from trimtab.errors import InvalidSpec, NotReady
from typer.testing import CliRunner

FOUND = {
    "metric": "loss",
    "goal": "minimize",
    "trials": 12,
    "measured": 11,
    "importance": [
        {"parameter": "lr [log]", "share": 0.7, "share_trials": 11, "share_best": 5,
         "first_order": 0.62, "total": 0.75, "model_trials": 12},
        {"parameter": "width", "share": None, "share_trials": 4, "share_best": 0,
         "first_order": 0.1, "total": 0.25, "model_trials": 12},
    ],
    "dependence": [
        {"parameter": "lr [log]", "values": [0.001, 0.01, 0.1], "mean": [3.0, 1.0, 2.0],
         "sd": [0.1, 0.1, 0.2], "configs": 128},
    ],
    "pair": None,
    "diagnostics": {
        "trials": 11, "r_squared": 0.834, "rank_correlation": 0.9, "coverage": 0.909,
        "warning": None,
        "points": [{"trial": 0, "measured": 1.0, "predicted": 1.1, "sd": 0.1, "residual": -1.0}],
    },
    "edges": [],
    "warnings": ["lr [log]: 7 of the best 8 trials are within 5% of the upper bound 0.1"],
    "because": None,
    "of_the_future": 1,
}  # fmt: skip


def answer(seen=12, finished=12, **changes):
    body = {"seen": seen, "finished": finished, "computed_at": "2026-01-01T00:00:00Z"}
    return httpx.Response(200, json=body | {"explanation": FOUND | changes})


WAIT = httpx.Response(202, json={"retry_after": 2.0}, headers={"Retry-After": "2"})


@pytest.fixture
def study(fake, client, wire):
    fake.script["/st_1"] = [httpx.Response(200, json=wire.study())] * 5
    fake.script["/digits"] = [httpx.Response(200, json=wire.study())] * 5
    return client.study("digits")


def test_it_is_waited_for(fake, study, clock):
    fake.script["/explanation"] = [WAIT, WAIT, answer()]
    found = study.explain("loss")
    assert found.importance[0].total == 0.75
    assert (found.seen, found.finished) == (12, 12)
    assert clock.slept[-2:] == [2.0, 2.0]
    first = fake.calls("/explanation")[0].url
    assert dict(first.params) == {"metric": "loss", "wait": "20.0"}


def test_results_of_before_the_question_are_waited_for_and_later_ones_are_not(fake, study):
    fake.script["/explanation"] = [answer(10, 12), answer(12, 15)]
    assert study.explain().seen == 12


def test_when_time_is_up_an_older_one_is_better_than_none(fake, study):
    fake.script["/explanation"] = [answer(10, 12)] * 9
    found = study.explain(timeout=3.0)
    assert (found.seen, found.finished) == (10, 12)
    assert "from 11 results, 2 newer results are not in it" in str(found)
    fake.script["/explanation"] = [WAIT] * 9
    with pytest.raises(NotReady, match="does a suggester run"):
        study.explain(timeout=3.0)
    with pytest.raises(TimeoutError):
        study.explain(timeout=0)


def test_it_prints_as_a_table_with_bars(fake, study):
    fake.script["/explanation"] = [answer()]
    lines = str(study.explain()).split("\n")
    assert lines[0] == "minimize loss  from 11 results"
    assert lines[2].split() == ["lr", "[log]", "█" * 15, "75%", "62%", "70%", "█▁▅", "0.001", "0.1"]
    assert lines[3].split() == ["width", "█" * 5, "25%", "10%"]
    assert "R^2 0.83" in lines[4]
    assert lines[5].startswith("! lr [log]: 7 of the best 8")


def test_without_a_model_the_bars_are_of_what_is_known(fake, study):
    bare = [dict(FOUND["importance"][0], total=None, first_order=None)]
    fake.script["/explanation"] = [
        answer(importance=bare, dependence=[], diagnostics=None, because="one result only")
    ]
    text = str(study.explain())
    assert "█" * 14 in text
    assert "no model: one result only" in text


@pytest.mark.parametrize(("share", "length"), [(0, 0), (0.5, 10), (1.0, 20), (1.2, 20)])
def test_bars_are_as_long_as_shares(share, length):
    assert bar(share) == "█" * length


def test_of_preferences_it_says_how_many_answers_are_foretold(fake, study):
    answers = {"answers": 20, "foretold": 0.85, "warning": None}
    fake.script["/explanation"] = [answer(diagnostics=None, answers=answers)]
    text = str(study.explain())
    assert "leaving out one of 20 answers at a time: 85% are foretold" in text
    assert "R^2" not in text


def test_an_order_has_a_line_for_each_item(fake, study):
    curves = [
        {
            "parameter": "width",
            "item": item,
            "values": [1, 2],
            "mean": mean,
            "sd": [0, 0],
            "configs": 9,
        }
        for item, mean in (("crop", [1.0, 2.0]), ("flip", [2.0, 1.0]))
    ]
    fake.script["/explanation"] = [answer(dependence=curves)]
    found = study.explain()
    lines = [line.split() for line in str(found).split("\n")]
    assert lines[3][:2] == ["width", "█" * 5]
    assert lines[4:6] == [["crop", "▁█", "1", "2"], ["flip", "█▁", "1", "2"]]
    assert found.to_pandas("dependence")["item"].tolist() == ["crop", "crop", "flip", "flip"]


def test_where_a_total_says_nothing_the_bar_is_of_what_is_known_alone(fake, study):
    tied = [dict(FOUND["importance"][0], total=0.0, first_order=0.5)]
    fake.script["/explanation"] = [answer(importance=tied)]
    assert "█" * 10 in str(study.explain())


def test_parts_are_tables(fake, study):
    fake.script["/explanation"] = [answer()]
    found = study.explain()
    assert found.to_pandas()["parameter"].tolist() == ["lr [log]", "width"]
    assert found.to_pandas("dependence")["mean"].tolist() == [3.0, 1.0, 2.0]
    assert found.to_pandas("points")["residual"].tolist() == [-1.0]
    with pytest.raises(ValueError, match="expected importance"):
        found.to_pandas("other")


def test_the_command_prints_it(fake, wire, monkeypatch):
    monkeypatch.setenv("TRIMTAB_URL", "http://127.0.0.1:8787")
    monkeypatch.setenv("TRIMTAB_API_KEY", "tt_key")
    fake.script["/digits"] = [httpx.Response(200, json=wire.study())] * 2
    fake.script["/explanation"] = [answer(), answer()]
    shown = CliRunner().invoke(app, ["explain", "digits"], obj=fake.transport())
    assert shown.exit_code == 0
    assert "lr [log]   ███" in shown.output
    shown = CliRunner().invoke(app, ["explain", "digits", "--json"], obj=fake.transport())
    assert json.loads(shown.output)["importance"][0]["total"] == 0.75


def test_the_best_of_a_noisy_objective_says_how_it_was_chosen(fake, study, wire):
    chosen = {"by": "posterior_mean", "mean": 0.45, "sd": 0.02, "seen": 30}
    fake.script["/best"] = [
        httpx.Response(200, json={"trial": wire.trial(4), **chosen}),
        httpx.Response(200, json={"trial": wire.trial(4)}),
    ]
    best = study.best
    assert (best.number, best.by, best.mean, best.sd, best.seen) == (4, *chosen.values())
    assert study.best.by == "measured"


def test_noise_and_gain_travel():
    assert tt.Minimize("loss", noisy=True).to_json()["noisy"] is True
    assert tt.Maximize("score", noisy=True).to_json()["noisy"] is True
    budget = tt.Budget(trials=9, min_expected_gain=0.01, patience=3)
    assert budget.to_json() == {
        "trials": 9, "hours": None, "target": None, "min_expected_gain": 0.01, "patience": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_expected_gain": -1},
        {"min_expected_gain": float("nan")},
        {"patience": 3},
        {"min_expected_gain": 1, "patience": 0},
    ],
)
def test_budgets_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(InvalidSpec):
        tt.Budget(**wrong)
