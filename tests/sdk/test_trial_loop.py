import gc
import logging
import threading

import pytest
from trimtab import Infeasible, LeaseLost, Released


def test_each_trial_is_completed_when_the_loop_goes_on(fake, study):
    numbers = []
    for trial in study.trials():
        numbers.append(trial.number)
        trial.report(0, loss=0.5)
    assert numbers == [0, 1, 2]
    assert fake.told == {f"tr_{n}": {"kind": "completed", "values": {}} for n in range(3)}
    assert [m["step"] for m in fake.measured["tr_1"]] == [0]


def test_break_gives_the_trial_back(fake, study):
    for trial in study.trials():
        trial.report(0, loss=0.5)
        if trial.number == 1:
            break
    assert list(fake.told) == ["tr_0"]
    assert fake.released == ["tr_1"]


def test_return_gives_the_trial_back(fake, study):
    def first():
        for trial in study.trials():
            return trial.number
        return None

    assert first() == 0
    assert fake.released == ["tr_0"]


def test_a_trial_that_was_ended_before_a_break_stays_ended(fake, study):
    for trial in study.trials():
        trial.complete(loss=0.1)
        break
    assert fake.told["tr_0"] == {"kind": "completed", "values": {"loss": 0.1}}
    assert fake.released == []


def boom():
    raise ValueError("boom")


def wait_for_the_end(fake):
    assert fake.told_event.wait(10), "the trial was not ended"


def test_an_exception_fails_the_trial_and_goes_on_up(fake, study):
    def loop():
        for _ in study.trials():
            boom()

    with pytest.raises(ValueError, match="boom"):
        loop()
    wait_for_the_end(fake)
    told = fake.told["tr_0"]
    assert (told["kind"], told["reason"]) == ("failed", "user_error")
    assert told["message"].endswith("ValueError: boom\n")
    assert "in boom" in told["message"]
    assert fake.released == []


def test_an_exception_of_c_code_fails_the_trial(fake, study):
    def loop():
        for _ in study.trials():
            int("x")

    with pytest.raises(ValueError, match="invalid literal") as caught:
        loop()
    wait_for_the_end(fake)
    assert "invalid literal" in fake.told["tr_0"]["message"]
    assert caught


def test_an_exception_through_finally_fails_the_trial(fake, study):
    def loop():
        for _ in study.trials():
            try:
                boom()
            finally:
                gc.collect()

    with pytest.raises(ValueError, match="boom"):
        loop()
    wait_for_the_end(fake)
    assert fake.told["tr_0"]["kind"] == "failed"


def test_an_exception_that_is_caught_and_forgotten_is_told_with_its_place(fake, study, monkeypatch):
    monkeypatch.setattr("trimtab._aftermath.LOOKS", (0.01,))
    try:
        for _ in study.trials():
            int("x")
    except ValueError:
        pass
    wait_for_the_end(fake)
    assert fake.told["tr_0"]["kind"] == "failed"
    assert 'int("x")' in fake.told["tr_0"]["message"]


def test_a_break_while_an_older_exception_is_handled_is_a_break(fake, study):
    try:
        boom()
    except ValueError:
        for _ in study.trials():
            break
    assert fake.released == ["tr_0"]


def test_an_exception_kept_from_an_earlier_loop_does_not_confuse(fake, study):
    kept = None
    for trial in study.trials():
        try:
            boom()
        except ValueError as error:
            kept = error
        if trial.number == 1:
            break
    assert kept is not None
    assert list(fake.told) == ["tr_0"]
    assert fake.released == ["tr_1"]


@pytest.mark.parametrize("rounds", [1, 5])
def test_exceptions_kept_from_earlier_are_not_taken_for_the_new_one(fake, study, rounds):
    def loop():
        kept = []
        for trial in study.trials():
            for n in range(rounds):
                try:
                    raise KeyError(f"old {n}")
                except KeyError as error:
                    kept.append(error)
            gc.collect()  # the old ones now stand behind the new one where gc looks
            int(f"new {trial.number}")
        return kept

    with pytest.raises(ValueError, match="new 0") as caught:
        loop()
    wait_for_the_end(fake)
    assert "ValueError: invalid literal" in fake.told["tr_0"]["message"]
    assert caught


def test_an_interrupt_gives_the_trial_back(fake, study):
    def loop():
        for _ in study.trials():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop()
    wait_for_the_end(fake)
    assert fake.released == ["tr_0"]
    assert fake.told == {}


def test_infeasible_leaves_the_loop_and_says_so(fake, study):
    def loop():
        for _ in study.trials():
            raise Infeasible("too wide")

    with pytest.raises(Infeasible):
        loop()
    assert fake.told["tr_0"] == {"kind": "infeasible", "reason": "too wide"}


def test_an_old_infeasible_is_not_taken_for_the_new_error(fake, study):
    kept = Infeasible("of another time")

    def loop():
        for _ in study.trials():
            boom()

    with pytest.raises(ValueError, match="boom"):
        loop()
    wait_for_the_end(fake)
    assert fake.told["tr_0"]["kind"] == "failed"
    assert kept.reason == "of another time"


def test_nested_loops_end_their_own_trials(fake, study):
    fake.trials = 4
    for outer in study.trials():
        outer.report(0, loss=1.0)
        for inner in study.trials():
            inner.report(0, loss=2.0)
            break
        if outer.number >= 2:
            break
    assert list(fake.told) == ["tr_0"]
    assert sorted(fake.released) == ["tr_1", "tr_2", "tr_3"]


def test_an_exception_in_an_inner_loop_ends_both_trials(fake, study):
    def loop():
        for _outer in study.trials():
            for _inner in study.trials():
                boom()

    with pytest.raises(ValueError, match="boom"):
        loop()
    deadline = threading.Event()
    for _ in range(200):
        if len(fake.told) == 2:
            break
        deadline.wait(0.05)
    assert {kind["kind"] for kind in fake.told.values()} == {"failed"}


def test_a_with_block_in_the_body_lets_the_loop_go_on(fake, study):
    for trial in study.trials():
        with trial:
            if trial.number == 0:
                raise Infeasible("too wide")
            trial.report(0, loss=0.5)
    assert [fake.told[f"tr_{n}"]["kind"] for n in range(3)] == [
        "infeasible",
        "completed",
        "completed",
    ]


def test_a_stop_ends_the_trial_as_stopped(fake, study):
    fake.until = 2
    fake.decision = {"kind": "stop", "reason": "below the median"}
    fake.trials = 1
    steps = 0
    for trial in study.trials():
        for step in range(10):
            steps += 1
            if trial.report(step, loss=1.0).stop:
                break
    assert steps == 3
    assert fake.told["tr_0"] == {"kind": "stopped", "reason": "below the median"}


def test_a_request_to_release_gives_the_trial_back_and_the_loop_goes_on(fake, study):
    fake.until = 0
    fake.request = {"kind": "release", "reason": "paused"}
    seen = []
    for trial in study.trials():
        for step in range(10):
            decision = trial.report(step, loss=1.0)
            if decision.stop:
                seen.append(decision.kind)
                break
        fake.request = None
    assert seen == ["release"]
    assert fake.released == ["tr_0"]
    assert list(fake.told) == ["tr_1", "tr_2"]


def test_reporting_on_after_a_release_is_interrupted(fake, study):
    fake.until = 0
    fake.request = {"kind": "release", "reason": "paused"}

    def loop():
        for trial in study.trials():
            for step in range(10):
                trial.report(step, loss=1.0)

    with pytest.raises(Released, match="paused"):
        loop()
    assert fake.released == ["tr_0"]
    assert fake.told == {}


def test_a_lost_lease_is_raised_and_nothing_is_told(fake, study, wire):
    fake.until = 0
    fake.script["/measurements"] = [wire.problem(409, "lease_lost")]

    def loop():
        for trial in study.trials():
            trial.report(0, loss=1.0)

    with pytest.raises(LeaseLost):
        loop()
    assert (fake.told, fake.released) == ({}, [])


def test_a_trial_without_the_metric_fails_and_the_user_hears_why(fake, study, wire):
    from trimtab.errors import InvalidRequest

    fake.script["tell"] = [wire.problem(422, "invalid_request", detail="loss was not measured")]

    def loop():
        for _ in study.trials():
            pass

    with pytest.raises(InvalidRequest, match="loss was not measured"):
        loop()
    assert fake.told["tr_0"]["kind"] == "failed"
    assert "loss was not measured" in fake.told["tr_0"]["message"]


def test_a_paused_study_is_waited_for(fake, study, wire, clock):
    fake.script["trials:ask"] = [wire.problem(409, "study_paused")] * 2
    assert [trial.number for trial in study.trials()] == [0, 1, 2]
    assert clock.slept[:2] == [6.25, 6.25]


def test_waiting_asks_again_with_the_same_lease(fake, study):
    import httpx

    fake.script["trials:ask"] = [httpx.Response(202, json={"retry_after": 2.0})]
    for _ in study.trials():
        break
    first, second = fake.bodies("trials:ask")
    assert first["lease_id"] == second["lease_id"]


def test_a_loop_in_a_thread_that_dies_fails_its_trial(fake, study, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda args: None)

    def work():
        for _ in study.trials():
            boom()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    wait_for_the_end(fake)
    assert fake.told["tr_0"]["kind"] == "failed"


def test_a_server_that_is_gone_at_the_end_is_only_logged(fake, study, wire, caplog):
    import httpx

    fake.script["release"] = [httpx.ConnectError("refused")] * 100
    with caplog.at_level(logging.WARNING, "trimtab"):
        for _ in study.trials():
            break
    assert "could not be given back" in caplog.text
