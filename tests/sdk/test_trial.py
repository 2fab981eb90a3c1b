import hashlib
import json
import threading

import httpx
import numpy as np
import pytest
import torch
import trimtab as tt
from trimtab import StudyEnded, StudyPaused
from trimtab.errors import (
    CheckpointError,
    NothingToRun,
)
from trimtab.models import CheckpointOffer


@pytest.fixture
def trial(study):
    with study.ask() as trial:
        yield trial


def values(fake):
    return {m["step"]: m["values"] for m in fake.measured["tr_0"]}


def test_a_trial_knows_what_it_is(fake, trial):
    assert (trial.id, trial.number, trial.study, trial.attempt) == ("tr_0", 0, "digits", 1)
    assert (trial.config, trial.seed, trial.until) == ({"lr": 0.1}, 11, None)
    assert trial.checkpoint is None
    assert trial.metrics == ("loss",)
    assert "0 of 'digits'" in repr(trial)
    trial.config["lr"] = 5
    assert trial.config == {"lr": 0.1}


def test_numbers_of_every_library_are_taken(fake, trial):
    trial.report(0, a=1, b=np.float32(0.5), c=torch.tensor([2.0]), d=np.array(3), e=True)
    trial.report(np.int64(1), {"val/loss": torch.tensor(0.25)}, loss=float("nan"))
    trial.flush()
    assert values(fake) == {
        0: {"a": 1.0, "b": 0.5, "c": 2.0, "d": 3.0, "e": 1.0},
        1: {"val/loss": 0.25, "loss": "NaN"},
    }


def test_a_metric_may_be_called_step_or_values(fake, trial):
    trial.report(0, step=1.0, values=2.0)
    trial.flush()
    assert values(fake) == {0: {"step": 1.0, "values": 2.0}}


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda t: t.report(0), TypeError, "at least one metric"),
        (lambda t: t.report(0.5, loss=1), TypeError, "integer"),
        (lambda t: t.report(True, loss=1), TypeError, "got a bool"),
        (lambda t: t.report(-1, loss=1), ValueError, "0 <= step"),
        (lambda t: t.report(2**31, loss=1), ValueError, "0 <= step"),
        (lambda t: t.report(0, loss="1"), TypeError, "got the text"),
        (lambda t: t.report(0, loss=torch.ones(3)), TypeError, "one number, got Tensor"),
        (lambda t: t.report(0, loss=None), TypeError, "one number, got NoneType"),
        (lambda t: t.report(0, {"": 1.0}), TypeError, "metric name"),
    ],
)
def test_what_cannot_be_reported_is_refused_at_once(trial, call, kind, message):
    with pytest.raises(kind, match=message):
        call(trial)


def test_leaving_the_block_completes_and_sends_what_waits(fake, study):
    with study.ask() as trial:
        for step in range(5):
            trial.report(step, loss=1.0 - step / 10)
        assert fake.measured["tr_0"] == []
    assert list(values(fake)) == [0, 1, 2, 3, 4]
    assert fake.told["tr_0"] == {"kind": "completed", "values": {}}
    assert trial.told.state == "completed"
    assert not trial.open


def test_an_exception_in_the_block_fails_the_trial_and_goes_on_up(fake, study):
    with pytest.raises(ZeroDivisionError), study.ask() as trial:
        trial.report(0, loss=1 / 0)
    told = fake.told["tr_0"]
    assert (told["kind"], told["reason"]) == ("failed", "user_error")
    assert told["message"].endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_running_out_of_memory_is_told_as_such(fake, study, error):
    with pytest.raises(type(error)), study.ask():
        raise error
    assert fake.told["tr_0"]["reason"] == "oom"


def test_a_long_traceback_keeps_its_end(fake, study):
    with pytest.raises(ValueError, match="x"), study.ask():
        raise ValueError("x" * 50_000 + "\x00\ud800 the end")
    message = fake.told["tr_0"]["message"]
    assert len(message) <= 8_000
    assert message.endswith("? the end\n")


def test_infeasible_ends_in_the_block(fake, study):
    with study.ask():
        raise tt.Infeasible("width must divide 8")
    assert fake.told["tr_0"] == {"kind": "infeasible", "reason": "width must divide 8"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupts_give_the_trial_back(fake, study, error):
    with pytest.raises(error), study.ask():
        raise error
    assert fake.released == ["tr_0"]
    assert fake.bodies("release")[0]["reason"] == f"interrupted by {error.__name__}"


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda t: t.complete(loss=0.5), {"kind": "completed", "values": {"loss": 0.5}}),
        (
            lambda t: t.complete({"loss": float("inf")}),
            {"kind": "completed", "values": {"loss": "Infinity"}},
        ),
        (lambda t: t.stopped("enough"), {"kind": "stopped", "reason": "enough"}),
        (lambda t: t.stopped(), {"kind": "stopped"}),
        (lambda t: t.infeasible("bad"), {"kind": "infeasible", "reason": "bad"}),
        (
            lambda t: t.fail("no data", reason="timeout"),
            {"kind": "failed", "reason": "timeout", "message": "no data"},
        ),
    ],
)
def test_a_trial_can_be_ended_by_hand_and_then_stays_so(fake, study, end, outcome):
    with study.ask() as trial:
        end(trial)
    assert fake.told == {"tr_0": outcome}
    assert len(fake.calls("tell")) == 1


def test_every_outcome_is_one_that_the_server_reads(fake, study):
    from pydantic import TypeAdapter
    from trimtab import _outcomes

    from service.schemas.trials import Outcome

    for outcome in (
        _outcomes.completed({"loss": float("nan")}),
        _outcomes.stopped(None),
        _outcomes.stopped("x" * 5000),
        _outcomes.infeasible(""),
        _outcomes.infeasible("x" * 5000),
        _outcomes.failed("why"),
        _outcomes.failure_of(ValueError("x")),
    ):
        assert TypeAdapter(Outcome).validate_python(outcome).kind == outcome["kind"]


def test_a_trial_that_is_dropped_is_given_back(fake, study):
    trial = study.ask()
    del trial
    assert fake.told_event.wait(10)
    assert fake.released == ["tr_0"]


def test_no_thread_is_left_when_a_trial_has_ended(fake, study):
    before = threading.active_count()
    with study.ask() as trial:
        assert threading.active_count() == before + 1
        trial.report(0, loss=1.0)
    assert threading.active_count() == before


def test_the_thread_sends_what_waits_and_keeps_the_lease(fake, study, monkeypatch):
    """The real thread, woken by a hundred steps; how long things wait is tested without it."""
    arrived = threading.Event()
    real = fake.on_measurements
    monkeypatch.setattr(fake, "on_measurements", lambda t, b: (real(t, b), arrived.set())[0])
    with study.ask() as trial:
        for step in range(100):
            trial.report(step, loss=1.0)
        assert arrived.wait(10)
    assert len(values(fake)) == 100


def test_asking_a_study_that_ended_or_is_paused(fake, study, wire):
    fake.trials = 0
    with pytest.raises(StudyEnded) as ended:
        study.ask()
    assert ended.value.reason == "budget"
    fake.script["trials:ask"] = [wire.problem(409, "study_paused")]
    with pytest.raises(StudyPaused, match=r"study\.resume"):
        study.ask()


def test_asking_in_vain_ends_at_the_time_out(fake, study, clock):
    fake.script["trials:ask"] = [
        lambda _: httpx.Response(202, json={"retry_after": 2.0}) for _ in range(100)
    ]
    began = clock.now()
    with pytest.raises(NothingToRun, match="within 30 seconds"):
        study.ask(timeout=30.0)
    assert 20.0 < clock.now() - began <= 30.0


def test_a_time_out_holds_while_the_server_is_away_too(fake, study, clock):
    fake.script["trials:ask"] = [httpx.ConnectError("refused")] * 100
    began = clock.now()
    with pytest.raises(tt.ConnectionFailed):
        study.ask(timeout=30.0)
    assert clock.now() - began <= 30.0


def test_a_lease_that_was_lost_while_asking_is_replaced(fake, study, wire):
    fake.script["trials:ask"] = [wire.problem(409, "lease_lost")]
    with study.ask():
        pass
    first, second = fake.bodies("trials:ask")
    assert first["lease_id"] != second["lease_id"]


def test_a_request_by_another_way_is_heard(fake, study):
    with study.ask() as trial:
        trial.request("stop", "told by the agent")
        assert trial.report(0, loss=1.0).stop
    assert fake.told["tr_0"] == {"kind": "stopped", "reason": "told by the agent"}


def test_tags_and_attributes_are_written(fake, study, wire):
    patched = []

    def trials(request):
        if request.method == "PATCH":
            patched.append(json.loads(request.content))
        return httpx.Response(200, json=wire.trial(tags=["a"], attributes={"old": 1, "gpu": 2}))

    fake.script["/trials/tr_0"] = [trials] * 5
    with study.ask() as trial:
        trial.tags = ["a"]
        trial.attributes = {"gpu": "h100"}
        assert (trial.tags, trial.attributes) == (["a"], {"old": 1, "gpu": 2})
    assert patched == [{"tags": ["a"]}, {"attributes": {"old": None, "gpu": "h100"}}]


# checkpoints


def offer(uri, data):
    return {
        "step": 3,
        "key": "p/s/t/1-3-abc",
        "uri": uri,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


@pytest.fixture
def storing(fake, tmp_path):
    """Makes the server take checkpoints below the folder; returns what it was told, in order."""
    seen = []

    def create(request):
        body = json.loads(request.content)
        seen.append(("create", body["step"], body["size"], body["sha256"]))
        key = f"p/s/t/1-{body['step']}"
        return httpx.Response(200, json={"key": key, "uri": (tmp_path / key).as_uri()})

    def commit(request):
        key = json.loads(request.content)["key"]
        seen.append(("commit", key, (tmp_path / key).read_bytes()))
        return httpx.Response(200, json={"key": key, "step": 0})

    fake.script["/checkpoints"] = [create] * 9
    fake.script["checkpoints:commit"] = [commit] * 9
    return seen


def test_a_checkpoint_is_announced_stored_and_committed(fake, trial, storing, tmp_path):
    data = b"weights"
    trial.report(3, loss=1.0)
    assert trial.save_checkpoint(data, step=3)
    digest = hashlib.sha256(data).hexdigest()
    assert storing == [("create", 3, 7, digest), ("commit", "p/s/t/1-3", data)]
    assert list(values(fake)) == [3], "measurements before the checkpoint are sent first"
    assert [path.name for path in (tmp_path / "p/s/t").iterdir()] == ["1-3"]


def test_a_file_is_stored(trial, storing, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"x" * 3_000_000)
    assert trial.save_checkpoint(path, step=1)
    assert storing[1][2] == path.read_bytes()


def test_a_folder_or_a_missing_file_is_refused(trial, tmp_path):
    with pytest.raises(CheckpointError, match="a checkpoint is one file"):
        trial.save_checkpoint(tmp_path, step=1)
    with pytest.raises(CheckpointError, match="no such file"):
        trial.save_checkpoint(tmp_path / "none", step=1)


def test_an_outage_does_not_end_the_training(fake, trial, storing, caplog):
    fake.script["/checkpoints"] = [httpx.ConnectError("refused")] * 100
    assert trial.save_checkpoint(b"weights", step=3) is False
    assert "no checkpoint at step 3" in caplog.text


def test_nothing_is_written_under_a_lease_in_doubt(fake, trial, storing, clock, wire):
    clock.time += 61.0
    fake.script["heartbeat"] = [wire.problem(409, "lease_lost")]
    with pytest.raises(tt.LeaseLost):
        trial.save_checkpoint(b"weights", step=3)
    assert storing == []


def test_a_checkpoint_is_loaded_and_checked(fake, study, tmp_path):
    path = tmp_path / "a folder" / "1-3"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    fake.checkpoint = offer(path.as_uri(), b"weights")
    with study.ask() as trial:
        assert trial.checkpoint.step == 3
        assert trial.load_checkpoint() == path
        path.write_bytes(b"changed")
        with pytest.raises(CheckpointError, match="damaged"):
            trial.load_checkpoint()
        path.unlink()
        with pytest.raises(CheckpointError, match="cannot read"):
            trial.load_checkpoint()


def test_without_a_checkpoint_nothing_is_loaded(trial):
    assert trial.load_checkpoint() is None


def test_other_schemes_go_through_fsspec(fake, study):
    from trimtab import _checkpoints

    content = _checkpoints.content_of(b"weights")
    _checkpoints.put("memory://bucket/1-3", content)
    found = _checkpoints.fetch(
        CheckpointOffer.model_validate(offer("memory://bucket/1-3", b"weights"))
    )
    assert found.read_bytes() == b"weights"


def test_without_fsspec_the_error_says_what_to_install(monkeypatch):
    import sys

    from trimtab import _checkpoints
    from trimtab.errors import MissingPackage

    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingPackage, match="pip install fsspec"):
        _checkpoints.put("s3://bucket/1-3", _checkpoints.content_of(b"x"))


def test_a_write_that_fails_leaves_nothing(tmp_path):
    from trimtab import _checkpoints

    class Broken:
        size, sha256 = 1, ""

        def open(self):
            raise OSError("the disk is gone")

    with pytest.raises(CheckpointError, match="the disk is gone"):
        _checkpoints.put(str(tmp_path / "1-3"), Broken())
    assert list(tmp_path.iterdir()) == []
