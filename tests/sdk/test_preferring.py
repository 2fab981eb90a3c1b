"""The SDK's part in studies by preference, against the real API and the real database."""

import pytest
import trimtab as tt
from trimtab.errors import InvalidRequest, InvalidSpec

SPACE = [tt.Float("x", 0.0, 1.0)]


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
        first=[{"x": x} for x in (0.1, 0.2, 0.3)],
    )
    for trial in study.trials():
        trial.complete()  # nothing is measured
    return study


def numbers(study):
    return [[trial.number for trial in answer.ranking] for answer in study.preferences()]


def test_trials_are_run_without_a_metric_and_judged_afterwards(study):
    assert study.state == "completed"
    assert study.info.objectives[0].by == "preference"
    assert study.best is None
    answer = study.prefer(1, 0)
    assert [trial.number for trial in answer.ranking] == [1, 0]
    assert study.best.number == 1
    study.rank([2, 1, 0])
    assert numbers(study) == [[1, 0], [2, 1, 0]]
    assert study.best.config == {"x": 0.3}
    assert study.refresh().best.number == 2


def test_trials_are_named_as_everywhere(study):
    first, second, third = study.results()
    study.prefer(third, second.id)
    study.rank([first, 2])
    assert numbers(study) == [[2, 1], [0, 2]]


def test_a_wrong_answer_is_refused(study):
    with pytest.raises(InvalidRequest, match=r"rankings\.0\.1: the study has no trial 7"):
        study.prefer(0, 7)
    with pytest.raises(InvalidRequest, match="twice"):
        study.prefer(0, 0)
    assert numbers(study) == []


def test_leaving_a_loop_completes_a_trial_that_measured_nothing(client):
    study = client.create_study(
        "looped", space=SPACE, prefer="taste", first=[{"x": 0.5}], budget=tt.Budget(trials=1)
    )
    for trial in study.trials():
        assert trial.report(1, seconds=2.0).stop is False
    (info,) = study.results()
    assert (info.state, info.values) == ("completed", {"seconds": 2.0})


def test_the_same_study_is_found_again(client, study):
    again = client.create_study("posters", space=SPACE, prefer="taste", exist_ok=True)
    assert again.id == study.id
    with pytest.raises(tt.StudyExists):
        client.create_study("posters", space=SPACE, maximize="taste", exist_ok=True)


def test_a_preference_takes_the_place_of_a_metric(client):
    with pytest.raises(InvalidSpec, match="give one of"):
        client.create_study("s", space=SPACE, prefer="taste", maximize="accuracy")
