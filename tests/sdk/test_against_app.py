"""The SDK against the real API and the real database, over real HTTP."""

import json
import subprocess
import sys
import threading

import httpx
import pytest
import trimtab as tt
from trimtab.errors import ConfigExists, Forbidden, InvalidRequest, NotFound, Unauthenticated

SPACE = [
    tt.Float("lr", 1e-4, 1e-1, log=True),
    tt.Choice("optimizer", ["adamw", "sgd"]),
    tt.Float("momentum", 0.0, 0.99, when={"optimizer": "sgd"}),
]
CONFIGS = [
    {"lr": 0.001, "optimizer": "adamw"},
    {"lr": 0.01, "optimizer": "sgd", "momentum": 0.9},
    {"lr": 0.1, "optimizer": "adamw"},
]


@pytest.fixture
def client(server):
    with tt.Client(server.url, server.key) as client:
        yield client


@pytest.fixture
def study(client):
    """A study whose trials are all given: no suggester runs in these tests."""
    return client.create_study(
        "digits",
        space=SPACE,
        minimize="loss",
        scheduler="full",
        budget=tt.Budget(trials=3),
        first=CONFIGS,
        lease_seconds=5.0,
        seed=7,
    )


def test_a_study_is_worked_through_and_ends(study):
    seen = []
    for trial in study.trials():
        seen.append(trial.config)
        for step in range(3):
            trial.report(step, loss=trial.config["lr"] / (step + 1), other=float("inf"))
    assert seen == CONFIGS
    assert study.state == "completed"
    best = study.best
    assert (best.number, best.config) == (0, CONFIGS[0])
    assert best.values["loss"] == pytest.approx(0.001 / 3)
    assert study.info.best.number == 0
    assert study.info.trials.completed == 3


def test_every_way_to_leave_a_body(client, study):
    trials = study.trials()
    for trial in trials:
        with trial:
            if trial.number == 0:
                raise tt.Infeasible("too small")
            trial.report(0, loss=1.0)
            if trial.number == 1:
                break
    with pytest.raises(ZeroDivisionError), study.ask() as trial:
        trial.report(0, loss=1 / 0)
    infos = {info.number: client.trial(info.id) for info in study.results()}
    assert (infos[0].state, infos[0].reason) == ("infeasible", "too small")
    failed = [info for info in infos.values() if info.state == "failed"]
    assert len(failed) == 1
    assert failed[0].message.endswith("ZeroDivisionError: division by zero\n")


def test_a_trial_that_is_given_back_is_run_again(study):
    for trial in study.trials():
        first = trial.number
        break
    with study.ask() as again:
        assert (again.number, again.attempt) == (first, 2)
        again.report(0, loss=1.0)


def test_a_lost_lease_is_heard_of(study, client):
    trial = study.ask()
    study.cancel(trial, "by hand")
    trial.report(0, loss=1.0)
    with pytest.raises(tt.LeaseLost):
        trial.flush()
    with pytest.raises(tt.LeaseLost):
        trial.report(1, loss=1.0)
    assert client.trial(trial.id).state == "cancelled"


def test_a_metric_that_was_never_measured_fails_the_trial(study):
    with pytest.raises(InvalidRequest, match="loss"), study.ask() as trial:
        trial.report(0, other=1.0)
    assert study.result(trial).state == "failed"


def test_an_objective_that_is_not_finite_is_infeasible(study):
    with study.ask() as trial:
        trial.report(0, loss=float("nan"))
    assert (trial.told.state, trial.told.reason) == ("infeasible", "non_finite")


def test_a_stopped_study_stops_its_trials_and_ends_the_loop(study):
    for trial in study.trials():
        trial.report(0, loss=1.0)
        study.stop("enough")
        trial.flush()
        assert trial.report(1, loss=1.0).stop
    assert study.state == "stopped"
    assert study.result(0).state == "stopped"
    with pytest.raises(tt.StudyEnded):
        study.ask()


def test_a_study_paused_now_gets_its_trials_back(study):
    trial = study.ask()
    study.pause(now=True)
    with trial:
        trial.report(0, loss=1.0)
        trial.flush()
        assert trial.report(1, loss=1.0).kind == "release"
    assert study.result(trial).state == "queued"
    with pytest.raises(tt.StudyPaused):
        study.ask()
    study.resume()
    with study.ask(timeout=10) as again:
        again.report(0, loss=1.0)
    assert again.id == trial.id


def test_a_checkpoint_survives_its_worker(study, tmp_path):
    first = study.ask()
    first.report(0, loss=1.0)
    assert first.save_checkpoint(b"weights", step=0)
    first.release()
    with study.ask() as second:
        assert second.id == first.id
        assert second.checkpoint.step == 0
        assert second.load_checkpoint().read_bytes() == b"weights"
        second.report(1, loss=0.5)
    assert [s.steps for s in study.measurements(second) if s.metric == "loss"] == [[0, 1]]


def test_the_lease_outlives_its_time_while_the_program_thinks(client):
    study = client.create_study(
        "thinking", space=SPACE, minimize="loss", first=CONFIGS[:1], lease_seconds=1.0
    )
    with study.ask() as trial:
        threading.Event().wait(3.0)  # three leases long, the program says nothing
        trial.report(0, loss=1.0)
    assert (trial.told.state, trial.attempt) == ("completed", 1)


def test_optimize_in_threads(study):
    study.optimize(lambda trial: trial.config["lr"], parallel=3)
    assert sorted(info.values["loss"] for info in study.results()) == [0.001, 0.01, 0.1]


def test_exist_ok(client, study):
    again = {"space": SPACE, "minimize": "loss", "scheduler": "full", "seed": 7}
    assert client.create_study("digits", **again, exist_ok=True).id == study.id
    with pytest.raises(tt.StudyExists, match="exist_ok"):
        client.create_study("digits", **again)
    with pytest.raises(tt.StudyExists, match="another scheduler"):
        client.create_study("digits", **again | {"scheduler": "median"}, exist_ok=True)


def test_lists_and_looks(client, study):
    study.optimize(lambda trial: {"loss": trial.config["lr"]})
    assert [s.name for s in client.studies(state="completed")] == ["digits"]
    downwards = [t.number for t in study.results(sort="-value", where="lr<0.05")]
    assert downwards == [1, 0]
    assert study.to_pandas().loc[1, "config.momentum"] == 0.9
    assert [t.number for t in study.pareto()] == [0]
    assert len(study.export().splitlines()) == 4
    assert [json.loads(line)["number"] for line in study.export(format="jsonl").splitlines()]
    last = list(study.changes())[-1]
    assert last.state == "completed"
    assert study.logs(0)[0].attempt == 1


def test_changing(client, study):
    study.change(notes="n", tags=["t"], budget=tt.Budget(trials=9), max_running=2)
    info = client.study("digits").info
    assert (info.notes, info.tags, info.budget.trials, info.max_running) == ("n", ["t"], 9, 2)
    study.change(max_running=None)
    assert client.study("digits").info.max_running is None


def test_a_made_study_is_handed_to_the_fleet(client, study):
    study.run("train.py:main", resources={"gpu": 0.5}, parallel=8, max_seconds=60)
    managed = client.study("digits").info.managed
    assert managed["run"] == {"kind": "program", "path": "train.py:main"}
    assert (managed["parallel"], managed["resources"]) == (8, {"gpu": 0.5})
    study.change(notes="other")
    assert client.study("digits").info.managed == managed
    study.change(managed=None)
    assert client.study("digits").info.managed is None


def test_enqueue_import_retry_and_attributes(client, study):
    config = {"lr": 0.05, "optimizer": "adamw"}
    (queued,) = study.enqueue(config)
    with pytest.raises(ConfigExists):
        study.enqueue(config)
    (imported,) = study.import_trials(
        [{"config": {"lr": 0.02, "optimizer": "adamw"}, "values": {"loss": 0.3}, "tags": ["old"]}]
    )
    assert study.best.id == imported.id
    with study.ask() as trial:
        trial.attributes = {"gpu": "h100", "seed": 1}
        trial.attributes = {"gpu": "a100"}
        trial.tags = ["mine"]
        trial.report(0, loss=1.0)
    info = study.result(trial)
    assert (info.attributes, info.tags) == ({"gpu": "a100"}, ["mine"])
    again = study.retry(trial)
    assert study.result(again).retry_of == trial.id
    study.cancel(queued)
    assert study.result(queued.number).state == "cancelled"
    study.delete()
    with pytest.raises(NotFound):
        client.study("digits")


def test_sampling_a_space(client):
    configs = client.sample(SPACE, 20, seed=1)
    assert configs == client.sample(SPACE, 20, seed=1)
    assert all(("momentum" in c) == (c["optimizer"] == "sgd") for c in configs)


def test_keys(server, client):
    made = client.create_key("laptop", scopes=["read"])
    reader = tt.Client(server.url, made.key)
    assert list(reader.studies()) == []
    with pytest.raises(Forbidden, match="scope"):
        reader.create_study("x", space=SPACE, minimize="loss")
    assert made.id in [key.id for key in client.api_keys()]
    client.revoke_key(made.id)
    with pytest.raises(Unauthenticated, match="TRIMTAB_API_KEY"):
        tt.Client(server.url, "tt_wrong").study("x")


def test_a_worker_with_a_run_key_can_do_its_work(server, client, study):
    worker = tt.Client(server.url, client.create_key("fleet", scopes=["read", "run"]).key)
    with worker.study("digits").ask() as trial:
        trial.report(0, loss=1.0)
        assert trial.save_checkpoint(b"weights", step=0)
    assert trial.told.state == "completed"


def test_watching_and_waiting(study, capsys):
    study.optimize(lambda trial: trial.config["lr"])
    assert tt.Run(study).wait(progress=True) is study
    assert "trial 1  completed  loss=0.01" in capsys.readouterr().out


def test_the_command_line(server, study, tmp_path):
    study.optimize(lambda trial: trial.config["lr"])

    def trimtab(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "trimtab", *arguments],
            env={"TRIMTAB_URL": server.url, "TRIMTAB_API_KEY": server.key, "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "digits" in trimtab("studies")
    assert json.loads(trimtab("best", "digits", "--json"))["config"] == CONFIGS[0]
    listed = trimtab("trials", "digits", "--sort=-value", "--json").splitlines()
    assert [json.loads(line)["number"] for line in listed] == [2, 1, 0]
    assert "trial 0 is completed" in trimtab("logs", "digits", "0")
    trimtab("export", "digits", "-o", str(tmp_path / "t.csv"))
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 4


def test_a_restarted_server_is_only_a_pause(server, study):
    """Answers go astray on the way back: what was asked for twice happened once."""
    lost = iter([True, False] * 50)

    class Lossy(httpx.HTTPTransport):
        def handle_request(self, request):
            response = super().handle_request(request)
            if next(lost):
                response.close()
                raise httpx.RemoteProtocolError("cut")
            return response

    shaky = tt.Client(server.url, server.key, transport=Lossy())
    for trial in shaky.study("digits").trials():
        trial.report(0, loss=trial.config["lr"])
        trial.flush()
    assert [t.attempt for t in study.results()] == [1, 1, 1]
    assert study.state == "completed"
