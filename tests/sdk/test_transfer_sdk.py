"""Learning from earlier studies, through the SDK and the real API."""

import pytest
import trimtab as tt
from trimtab.errors import InvalidRequest, StudyExists, UnsupportedStudy

SPACE = [tt.Float("x", 0.0, 1.0)]


@pytest.fixture
def client(server):
    with tt.Client(server.url, server.key) as client:
        yield client


@pytest.fixture
def earlier(client):
    study = client.create_study("digits-1", space=SPACE, minimize="loss")
    study.import_trials(
        [{"config": {"x": k / 8}, "values": {"loss": abs(k - 3) / 8}} for k in range(8)]
    )
    return study


def test_a_study_says_what_it_learns_from(client, earlier):
    asked = {"space": SPACE, "minimize": "loss", "searcher": "botorch"}
    made = client.create_study("digits-2", **asked, transfer=["digits-1"])
    (taken,) = made.transfer
    assert (taken.study, taken.name, taken.points) == (earlier.id, "digits-1", 8)
    earlier.delete()
    # By the name that it had, or by its id: it is the same study.
    for reference in ("digits-1", taken.study):
        again = client.create_study("digits-2", **asked, transfer=[reference], exist_ok=True)
        assert again.id == made.id
    with pytest.raises(StudyExists, match="another transfer"):
        client.create_study("digits-2", **asked, transfer=["digits-0"], exist_ok=True)
    with pytest.raises(InvalidRequest, match="no study 'digits-1'"):
        client.create_study("digits-3", **asked, transfer=["digits-1"])


def test_a_searcher_that_cannot_learn_from_it_refuses(client, earlier):
    with pytest.raises(UnsupportedStudy, match="does not learn from earlier studies"):
        client.create_study(
            "digits-2", space=SPACE, minimize="loss", searcher="gp", transfer=["digits-1"]
        )


def test_without_transfer_there_is_none(client, earlier):
    assert earlier.transfer == []
