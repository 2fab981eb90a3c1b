"""Standard errors through the SDK, against the real API."""

import math

import pytest
import trimtab as tt
from trimtab.errors import InvalidRequest

SPACE = [tt.Float("x", 0, 1)]


@pytest.fixture
def study(server):
    with tt.Client(server.url, server.key) as client:
        yield client.create_study(
            "noisy", space=SPACE, minimize="loss", first=[{"x": x / 10} for x in range(4)]
        )


def test_errors_go_with_every_way_to_complete_a_trial(study):
    taken = study.ask()
    taken.complete(loss=0.5, errors={"loss": 0.25})
    study.tell(study.ask(), {"loss": 0.4, "errors": 3.0}, errors={"loss": 0.125})
    for trial in study.trials():
        trial.report(0, loss=0.3)
        trial.complete(errors={"loss": 0})
        break
    with study.ask() as trial:
        trial.report(0, loss=0.2)
    found = {info.number: (info.values["loss"], info.errors) for info in study.results()}
    assert found == {
        0: (0.5, {"loss": 0.25}),
        1: (0.4, {"loss": 0.125}),
        2: (0.3, {"loss": 0.0}),
        3: (0.2, {}),
    }
    assert study.result(1).values["errors"] == 3.0
    assert study.result(1).errors == {"loss": 0.125}
    table = study.to_pandas()
    assert list(table["error.loss"][:3]) == [0.25, 0.125, 0.0]
    assert math.isnan(table["error.loss"][3])


def test_a_function_that_is_optimised_may_tell_its_error(study):
    def function(trial):
        trial.complete(loss=trial.config["x"], errors={"loss": 0.5})
        if trial.number == 3:
            study.stop()

    study.optimize(function)
    assert [info.errors for info in study.results()] == [{"loss": 0.5}] * 4


def test_imported_trials_bring_theirs(study):
    class Number:
        def __float__(self):
            return 0.125

    study.import_trials(
        [{"config": {"x": 0.9}, "values": {"loss": 1}, "errors": {"loss": Number()}}]
    )
    (info,) = study.results(state="completed")
    assert info.errors == {"loss": 0.125}


def test_what_is_no_standard_error_is_refused_before_anything_is_sent(study):
    trial = study.ask()
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="standard error >= 0 of loss"):
            trial.complete(loss=0.5, errors={"loss": wrong})
    for wrong in (0.1, "loss", [0.1], {"loss": "0.1"}, {1: 0.1}):
        with pytest.raises(TypeError):
            trial.complete(loss=0.5, errors=wrong)
    with pytest.raises(InvalidRequest, match="accuracy has no value"):
        trial.complete(loss=0.5, errors={"accuracy": 0.1})
    assert trial.open
    trial.complete(loss=0.5)
