import httpx
import pytest
from trimtab._buffer import BATCH_STEPS
from trimtab._retry import Retry
from trimtab.errors import (
    AlreadyTold,
    InvalidRequest,
    LeaseLost,
    Unavailable,
)


def values(fake):
    return {m["step"]: m["values"] for m in fake.measured["tr_0"]}


def test_tell_is_complete(fake, study):
    study.tell(study.ask(), loss=0.5)
    assert fake.told["tr_0"]["values"] == {"loss": 0.5}


def test_a_tell_outlives_an_outage(fake, study, clock):
    fake.script["tell"] = [httpx.ConnectError("refused")] * 500
    study.ask().complete(loss=0.5)
    assert fake.told["tr_0"]["kind"] == "completed"


def test_one_request_tells_and_sends_what_waits(fake, study):
    trial = study.ask()
    trial.report(0, loss=1.0)
    trial.complete()
    assert fake.calls("/measurements") == []
    assert len(fake.calls("tell")) == 1
    assert list(values(fake)) == [0]


def test_what_waits_is_not_lost_in_an_outage_at_the_end(fake, study, wire):
    trial = study.ask()
    trial.report(0, loss=1.0)
    fake.script["tell"] = [wire.problem(503, "unavailable")] * 50
    with pytest.raises(Unavailable):
        trial.end({"kind": "completed", "values": {}}, Retry(patience=1.0))
    assert trial.open
    fake.script["tell"] = []
    trial.complete()
    assert list(values(fake)) == [0]


def test_what_waits_outlives_an_end_that_is_interrupted(fake, study):
    def interrupt(request):
        raise KeyboardInterrupt

    trial = study.ask()
    trial.report(0, loss=1.0)
    fake.script["tell"] = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        trial.complete()
    assert trial.open
    trial.complete()
    assert list(values(fake)) == [0]


def test_measurements_that_are_refused_at_the_end_are_told_apart(fake, study, wire):
    trial = study.ask()
    trial.report(0, loss=1.0)
    fake.script["tell"] = [wire.problem(422, "invalid_request", detail="bad name")]
    fake.script["/measurements"] = [wire.problem(422, "invalid_request", detail="bad name")]
    with pytest.raises(InvalidRequest, match="bad name"):
        trial.complete()
    assert trial.open
    assert trial.complete().state == "completed"  # without them, as after any report refused
    assert fake.measured["tr_0"] == []


def test_more_than_one_request_carries_is_sent_first(fake, study):
    trial = study.ask()
    for step in range(BATCH_STEPS + 1):
        trial._reporter._buffer.add(step, {"loss": 1.0}, 0.0)
    trial.complete()
    assert len(fake.measured["tr_0"]) == BATCH_STEPS + 1
    assert sorted(values(fake)) == list(range(BATCH_STEPS + 1))


def test_a_lease_that_is_lost_at_the_end_ends_the_trial_here(fake, study, wire):
    trial = study.ask()
    trial.report(0, loss=1.0)
    fake.script["tell"] = [wire.problem(409, "lease_lost")]
    with pytest.raises(LeaseLost):
        trial.complete()
    assert not trial.open


def test_a_tell_that_is_refused_leaves_the_trial_open(fake, study, wire):
    fake.script["tell"] = [wire.problem(422, "invalid_request")]
    trial = study.ask()
    with pytest.raises(InvalidRequest):
        trial.complete()
    assert trial.open
    trial.complete(loss=1.0)
    assert not trial.open


def test_another_tell_is_an_error_of_the_caller(fake, study, wire):
    fake.script["tell"] = [wire.problem(409, "already_told")]
    with pytest.raises(AlreadyTold):
        study.ask().complete(loss=1.0)
