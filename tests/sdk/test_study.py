import json
import threading

import httpx
import pytest
import trimtab as tt
from trimtab.errors import NotFound, RevisionConflict, StudyHalted


def space():
    return [tt.Float("lr", 1e-4, 1e-1, log=True)]


EXISTING = {
    "parameters": [
        {"kind": "float", "name": "lr", "low": 1e-4, "high": 0.1, "log": True, "step": None}
        | {"default": None, "when": []}
    ]
}


def exists(fake, wire, **study):
    fake.script["/studies"] = [wire.problem(409, "study_exists")]
    fake.script["/studies/digits"] = [httpx.Response(200, json=wire.study(space=EXISTING, **study))]


def test_a_study_is_created_once_whatever_the_network_does(fake, client):
    fake.script["/v1/studies"] = [httpx.ReadTimeout("slow")]
    study = client.create_study("digits", space=space(), minimize="loss", seed=7)
    assert (study.name, study.id) == ("digits", "st_1")
    first, second = fake.calls("/v1/studies")
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    body = json.loads(second.content)
    assert body["objectives"][0] == {
        "metric": "loss",
        "goal": "minimize",
        "read": "last",
        "reference": None,
    }
    assert "max_running" not in body


def test_an_existing_name_is_an_error_that_says_what_to_do(fake, client, wire):
    exists(fake, wire)
    with pytest.raises(tt.StudyExists, match="exist_ok=True"):
        client.create_study("digits", space=space(), minimize="loss")


def test_exist_ok_returns_an_equal_study(fake, client, wire):
    exists(fake, wire, searcher={"kind": "auto", "setting": 3}, budget={"trials": 99})
    study = client.create_study("digits", space=space(), minimize="loss", seed=7, exist_ok=True)
    assert study.id == "st_1"


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"space": [tt.Float("lr", 1e-4, 1.0, log=True)]}, "space"),
        ({"space": [tt.Float("lr", 1e-4, 1e-1)]}, "space"),
        ({"space": [*space(), tt.Bool("b")]}, "space"),
        ({"minimize": "other"}, "objectives"),
        ({"minimize": None, "maximize": "loss"}, "objectives"),
        ({"constraints": [tt.Constraint("x", at_most=1)]}, "constraints"),
        ({"searcher": "random"}, "searcher"),
        ({"searcher": {"kind": "auto", "setting": 4}}, "searcher"),
        ({"scheduler": "asha"}, "scheduler"),
        ({"seed": 8}, "seed"),
    ],
)
def test_exist_ok_refuses_another_spec_and_names_the_difference(
    fake, client, wire, changes, differs
):
    exists(fake, wire, searcher={"kind": "auto", "setting": 3})
    asked = {"space": space(), "minimize": "loss"} | changes
    with pytest.raises(tt.StudyExists, match=f"another {differs}: choose another name, or"):
        client.create_study("digits", **asked, exist_ok=True)


def test_lists_are_read_page_by_page(fake, client, wire):
    fake.script["/v1/studies"] = [
        httpx.Response(200, json={"items": [wire.study(name="a")], "next": "c1"}),
        httpx.Response(200, json={"items": [wire.study(name="b")], "next": None}),
    ]
    assert [study.name for study in client.studies(state="active")] == ["a", "b"]
    first, second = fake.calls("/v1/studies")
    assert dict(first.url.params) == {"limit": "200", "state": "active"}
    assert dict(second.url.params) == {"limit": "200", "state": "active", "cursor": "c1"}


def test_a_name_cannot_leave_its_place_in_the_path(fake, client):
    with pytest.raises(NotFound):
        client.study("../keys?x=1")
    assert fake.requests[-1].url.raw_path == b"/v1/studies/..%2Fkeys%3Fx%3D1"


def test_a_change_that_meets_another_is_made_after_it(fake, study, wire):
    seen = []

    def patch(request):
        seen.append((request.method, request.headers.get("If-Match")))
        if request.method == "GET":
            return httpx.Response(200, json=wire.study(revision=4 + len(seen)))
        if len(seen) == 2:
            return wire.problem(412, "revision_conflict")
        return httpx.Response(200, json=wire.study(notes="new"))

    fake.script["/studies/st_1"] = [patch] * 4
    assert study.change(notes="new", budget=tt.Budget(trials=5)).notes == "new"
    assert seen == [("GET", None), ("PATCH", '"5"'), ("GET", None), ("PATCH", '"7"')]
    assert RevisionConflict.code == "revision_conflict"


def test_run_hands_the_study_to_the_fleet(fake, study, wire):
    fake.script["/studies/st_1"] = [httpx.Response(200, json=wire.study()) for _ in range(2)]
    study.run("train.py:main", resources={"gpu": 0.5}, parallel=8)
    body = json.loads(fake.calls("/studies/st_1")[-1].content)
    assert body == {
        "managed": {
            "run": {"kind": "program", "path": "train.py:main"},
            "resources": {"gpu": 0.5},
            "parallel": 8,
            "max_seconds": None,
        }
    }


def changes(wire, *states, version=1):
    return [
        httpx.Response(
            200,
            json={
                "version": version + n,
                "items": [wire.trial(n)] if n < len(states) - 1 else [],
                "state": state,
            },
        )
        for n, state in enumerate(states)
    ]


def test_waiting_ends_with_the_study(fake, study, wire):
    fake.script["/changes"] = changes(wire, "active", "active", "completed")
    run = tt.Run(study)
    assert run.wait() is study
    asked = [dict(request.url.params) for request in fake.calls("/changes")]
    assert [query["since"] for query in asked] == ["0", "1", "2"]


def test_what_is_left_of_an_ended_study_is_not_waited_for(fake, study, wire):
    last = {"version": 1, "items": [wire.trial(0)], "state": "completed"}
    fake.script["/changes"] = [
        httpx.Response(200, json=last),
        httpx.Response(200, json=last | {"items": []}),
    ]
    assert len(list(study.changes())) == 2
    waits = [request.url.params["wait"] for request in fake.calls("/changes")]
    assert waits == ["20.0", "0.0"]


def test_waiting_for_a_paused_study_says_why_it_is_in_vain(fake, study, wire):
    fake.script["/changes"] = changes(wire, "active", "paused")
    paused = wire.study(state="paused", state_reason="the first 3 trials failed")
    fake.script["/studies/st_1"] = [httpx.Response(200, json=paused)]
    with pytest.raises(StudyHalted, match="the first 3 trials failed"):
        tt.Run(study).wait()


def test_waiting_with_progress_prints_each_trial_where_there_is_no_terminal(
    fake, study, wire, capsys
):
    fake.script["/changes"] = changes(wire, "active", "completed")
    tt.Run(study).wait(progress=True)
    assert "trial 0  completed  loss=0.5  lr=0.1" in capsys.readouterr().out


def test_best_may_be_none(fake, study, wire):
    fake.script["/best"] = [
        httpx.Response(200, json={"trial": None}),
        httpx.Response(200, json={"trial": wire.trial(4)}),
    ]
    assert study.best is None
    assert study.best.config == {"lr": 0.1}


def test_looking(fake, study, wire):
    fake.script["/pareto"] = [httpx.Response(200, json={"items": [wire.trial(2)]})]
    assert [trial.number for trial in study.pareto()] == [2]
    curve = {"trial": "tr_0", "number": 0, "state": "running", "metric": "loss"}
    curve |= {"steps": [0, 1], "values": ["NaN", 0.5], "total": 2}
    fake.script["/curves"] = [httpx.Response(200, json={"items": [curve]})]
    assert study.curves()[0].values[1] == 0.5
    fake.script["/log"] = [
        httpx.Response(200, json={"items": [{"attempt": 1, "worker": "w", "log_tail": "Killed"}]})
    ]
    assert study.logs("tr_0")[0].log_tail == "Killed"


def test_a_trial_is_found_by_its_number(fake, study, wire):
    page = {"items": [wire.trial(0), wire.trial(1)], "next": None}
    fake.script["/st_1/trials"] = [httpx.Response(200, json=page) for _ in range(2)]
    fake.script["/trials/tr_1"] = [httpx.Response(200, json=wire.trial(1, message="m"))]
    assert study.result(1).message == "m"
    with pytest.raises(NotFound, match="has no trial 7"):
        study.result(7)


def test_states_of_a_study(fake, study):
    for call, path, body in [
        (lambda: study.pause(now=True), ":pause", {"now": True}),
        (study.resume, ":resume", {}),
        (lambda: study.stop("enough"), ":stop", {"reason": "enough"}),
    ]:
        fake.script[path] = [httpx.Response(200, json={})]
        call()
        assert fake.bodies(path) == [body]
    fake.script["/studies/st_1"] = [httpx.Response(204)]
    study.delete()
    assert fake.requests[-1].method == "DELETE"


def test_enqueue_and_import_have_one_effect_when_sent_twice(fake, study):
    made = {"trials": [{"id": "tr_9", "number": 9}]}
    for path, call in [
        ("/st_1/trials", lambda: study.enqueue({"lr": 0.1})),
        (
            "trials:import",
            lambda: study.import_trials([{"config": {"lr": 0.1}, "values": {"a": 1}}]),
        ),
        ("tr_9:retry", lambda: [study.retry("tr_9")]),
    ]:
        answer = made if path != "tr_9:retry" else made["trials"][0]
        fake.script[path] = [httpx.ReadTimeout("slow"), httpx.Response(200, json=answer)]
        assert [trial.number for trial in call()] == [9]
        keys = {request.headers["Idempotency-Key"] for request in fake.calls(path)}
        assert len(keys) == 1


def test_to_pandas(fake, study, wire):
    page = {"items": [wire.trial(1), wire.trial(0, values={"loss": "NaN"})], "next": None}
    fake.script["/st_1/trials"] = [httpx.Response(200, json=page)]
    table = study.to_pandas()
    assert list(table.index) == [0, 1]
    assert table.loc[1, "value.loss"] == 0.5
    assert table["value.loss"].isna()[0]
    assert table.loc[1, "config.lr"] == 0.1


def test_to_pandas_of_nothing_is_empty(fake, study):
    fake.script["/st_1/trials"] = [httpx.Response(200, json={"items": [], "next": None})]
    assert study.to_pandas().empty


def test_without_pandas_the_error_says_what_to_install(fake, study, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(tt.errors.MissingPackage, match=r"pip install 'trimtab\[pandas\]'"):
        study.to_pandas()


def test_export_writes_a_file_or_returns_the_text(fake, study, tmp_path):
    fake.script["/export"] = [httpx.Response(200, text="a,b\n1,2\n") for _ in range(2)]
    assert study.export() == "a,b\n1,2\n"
    assert study.export(tmp_path / "t.csv") is None
    assert (tmp_path / "t.csv").read_text() == "a,b\n1,2\n"


def test_export_of_nothing_is_an_error_and_leaves_no_file(fake, study, wire, tmp_path):
    fake.script["/export"] = [wire.problem(404, "not_found")]
    with pytest.raises(NotFound):
        study.export(tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_keys(fake, client):
    key = {"id": "abc", "name": "laptop", "scopes": ["run"], "created_at": "2026-01-01T00:00:00Z"}
    fake.script["/v1/keys"] = [
        httpx.Response(201, json=key | {"key": "tt_abc_secret"}),
        httpx.Response(200, json={"items": [key], "next": None}),
    ]
    fake.script["/v1/keys/abc"] = [httpx.Response(204)]
    assert client.create_key("laptop", scopes=["run"]).key == "tt_abc_secret"
    assert [known.id for known in client.api_keys()] == ["abc"]
    client.revoke_key("abc")
    assert fake.requests[-1].method == "DELETE"


# optimize


def test_optimize_tells_what_the_function_returns(fake, study):
    returned = iter([0.5, {"loss": 0.25, "other": 1.0}, None])

    def function(trial):
        trial.report(0, loss=9.0)
        return next(returned)

    assert study.optimize(function) is study
    assert [fake.told[f"tr_{n}"]["values"] for n in range(3)] == [
        {"loss": 0.5},
        {"loss": 0.25, "other": 1.0},
        {},
    ]


def test_optimize_runs_in_parallel(fake, study):
    fake.trials = 8
    together = threading.Barrier(4, timeout=10)

    def function(trial):
        together.wait()  # opens only when four trials run at once
        return 1.0

    study.optimize(function, parallel=4)
    assert len(fake.told) == 8


def test_an_error_ends_optimize_after_its_trial_has_failed(fake, study):
    def function(trial):
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        study.optimize(function, parallel=2)
    kinds = {outcome["kind"] for outcome in fake.told.values()}
    assert kinds == {"failed"}
    assert len(fake.told) <= 2


def test_errors_to_catch_do_not_end_optimize(fake, study):
    def function(trial):
        if trial.number == 0:
            raise ValueError("boom")
        if trial.number == 1:
            raise tt.Infeasible("bad")
        return 1.0

    study.optimize(function, catch=(ValueError,))
    assert [fake.told[f"tr_{n}"]["kind"] for n in range(3)] == [
        "failed",
        "infeasible",
        "completed",
    ]


def test_optimize_needs_a_thread(study):
    with pytest.raises(tt.InvalidSpec, match="parallel >= 1"):
        study.optimize(lambda trial: 1.0, parallel=0)


def test_a_stopped_trial_is_not_completed_by_the_returned_value(fake, study):
    fake.trials = 1
    fake.until = 0
    fake.decision = {"kind": "stop", "reason": "slow"}

    def function(trial):
        trial.report(0, loss=1.0)
        return 1.0

    study.optimize(function)
    assert fake.told["tr_0"] == {"kind": "stopped", "reason": "slow"}
