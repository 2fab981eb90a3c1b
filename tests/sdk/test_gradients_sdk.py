"""Derivatives of the objective through the SDK, against the real API."""

import math

import pytest
import trimtab as tt
from trimtab.errors import InvalidRequest, UnsupportedStudy

SPACE = [tt.Float("x", 0, 1), tt.Float("lr", 1e-4, 1, log=True), tt.Int("n", 1, 3)]
FIRST = [{"x": k / 10, "lr": 0.1, "n": 1} for k in range(4)]
OBJECTIVE = tt.Minimize("loss", gradients=True)


@pytest.fixture
def client(server):
    with tt.Client(server.url, server.key) as client:
        yield client


@pytest.fixture
def study(client):
    return client.create_study("steep", space=SPACE, objectives=[OBJECTIVE], first=FIRST)


class Number:
    def __float__(self):
        return 0.125


def test_derivatives_go_with_every_way_to_complete_a_trial(study):
    assert study.info.objectives[0].gradients is True
    study.ask().complete(loss=0.5, gradients={"x": -2, "lr": Number()})
    study.tell(study.ask(), {"loss": 0.4, "gradients": 3.0}, gradients={"x": 1})
    for trial in study.trials():
        trial.report(0, loss=0.3)
        trial.complete(gradients={"lr": 1e300}, errors={"loss": 0.1})
        break
    with study.ask() as trial:
        trial.report(0, loss=0.2)
    found = [(info.values["loss"], info.gradients) for info in study.results()]
    assert sorted(found, key=lambda pair: -pair[0]) == [
        (0.5, {"x": -2.0, "lr": 0.125}),
        (0.4, {"x": 1.0}),
        (0.3, {"lr": 1e300}),
        (0.2, {}),
    ]
    assert study.result(1).values["gradients"] == 3.0
    table = study.to_pandas()
    assert list(table["gradient.x"][:2]) == [-2.0, 1.0]
    assert math.isnan(table["gradient.x"][3])


def test_imported_trials_bring_theirs(study):
    config = {"x": 0.9, "lr": 0.5, "n": 2}
    study.import_trials([{"config": config, "values": {"loss": 1}, "gradients": {"x": Number()}}])
    (info,) = study.results(state="completed")
    assert info.gradients == {"x": 0.125}


def test_what_is_no_derivative_is_refused_before_anything_is_sent(study):
    trial = study.ask()
    for wrong in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="finite derivative for x"):
            trial.complete(loss=0.5, gradients={"x": wrong})
    for wrong in (0.1, "x", [0.1], {"x": "0.1"}, {1: 0.1}):
        with pytest.raises(TypeError):
            trial.complete(loss=0.5, gradients=wrong)
    for name, message in (("y", "not a parameter"), ("n", "only float parameters")):
        with pytest.raises(InvalidRequest, match=f"outcome.gradients.{name}.*{message}"):
            trial.complete(loss=0.5, gradients={name: 0.1})
    assert trial.open
    trial.complete(loss=0.5, gradients={})


def test_a_study_says_whether_it_takes_them(client):
    study = client.create_study("flat", space=SPACE, minimize="loss", first=FIRST)
    assert study.info.objectives[0].gradients is False
    with pytest.raises(InvalidRequest, match="'loss' has gradients"):
        study.ask().complete(loss=0.5, gradients={"x": 0.1})
    rises = tt.Maximize("gain", gradients=True)
    with pytest.raises(UnsupportedStudy, match="does not learn from derivatives"):
        client.create_study("other", space=SPACE, objectives=[rises], searcher="tpe")
    with pytest.raises(InvalidRequest, match="only objective"):
        client.create_study("both", space=SPACE, objectives=[rises, OBJECTIVE])
