"""Workers that anybody may run: stopped past their lease, or dead after they were asked to stop."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trimtab as tt

from tests.kill.byhand import ByHand
from tests.kill.checks import check_log
from tests.kill.program import hesitant
from tests.kill.study import LEASE_SECONDS
from tests.kill.waiting import await_found

SNAPSHOT = """
select 'trial', to_jsonb(t) from trial t where public_id = %(trial)s
union all select 'lease', to_jsonb(l) - 'expires_at' from lease l join t on trial_id = t.id
union all select 'metric', to_jsonb(m) from metric m join t on trial_id = t.id
union all select 'checkpoint', to_jsonb(c) from checkpoint c join t on trial_id = t.id
union all select 'attempt', to_jsonb(a) from attempt a join t on trial_id = t.id
union all select 'decision', to_jsonb(d) from decision d join t on trial_id = t.id
union all select 'standing', to_jsonb(s) from standing s join t on s.study_id = t.study_id
union all select 'event', to_jsonb(e) from event e join t on trial_id = t.id
union all select 'counter', to_jsonb(k) from study_counter k join t on k.study_id = t.study_id
union all select 'name', to_jsonb(n) from metric_name n join t on n.study_id = t.study_id
"""


@pytest.fixture
def client(by_hand: ByHand) -> Iterator[tt.Client]:
    """A client of the one replica that runs."""
    by_hand.serve("api")
    with by_hand.client() as one:
        yield one


def test_a_worker_stopped_past_its_lease_is_refused_and_changes_nothing(
    by_hand: ByHand, client: tt.Client
) -> None:
    study = make_study(client, scheduler="full", first=[{"rate": 0.5}])
    with worker(by_hand, "stopped", study.id) as zombie:
        before = heard(zombie)
        os.kill(zombie.pid, signal.SIGSTOP)
        await_state(by_hand, before["trial"], "queued")
        with study.ask(timeout=20) as trial:
            assert (trial.id, trial.attempt) == (before["trial"], 2)
            trial.report(0, loss=0.4)
            trial.flush()
            known = snapshot(by_hand, trial.id)
            os.kill(zombie.pid, signal.SIGCONT)
            answers = answered(zombie)
            assert snapshot(by_hand, trial.id) == known
            assert answers == dict.fromkeys(answers, "409 LeaseLost")
            assert len(answers) == 7
        told = snapshot(by_hand, trial.id)
    assert study.result(trial.id).values == {"loss": 0.4}
    assert snapshot(by_hand, trial.id) == told
    check_log(by_hand.log("api"))


def test_a_stopped_worker_whose_trial_has_ended_changes_nothing(
    by_hand: ByHand, client: tt.Client
) -> None:
    study = make_study(client, scheduler="full", first=[{"rate": 0.5}])
    with worker(by_hand, "stopped", study.id) as zombie:
        before = heard(zombie)
        os.kill(zombie.pid, signal.SIGSTOP)
        await_state(by_hand, before["trial"], "queued")
        with study.ask(timeout=20) as trial:
            trial.complete(loss=0.3)
        known = snapshot(by_hand, trial.id)
        os.kill(zombie.pid, signal.SIGCONT)
        answers = answered(zombie)
    assert answers == dict.fromkeys(answers, "409 LeaseLost")
    assert snapshot(by_hand, trial.id) == known
    check_log(by_hand.log("api"))


def test_a_trial_asked_to_stop_whose_worker_dies_is_not_run_again(
    by_hand: ByHand, client: tt.Client
) -> None:
    scheduler = {"kind": "median", "warmup_steps": 4, "min_trials": 1}
    configs = [{"rate": rate} for rate in (0.1, 0.2, 0.3)]
    study = make_study(client, scheduler=scheduler, first=configs)
    with study.ask(timeout=20) as good:
        for step in range(6):
            good.report(step, loss=0.1)
    with worker(by_hand, "asked", study.id) as dying:
        asked = heard(dying)
        assert asked["step"] == 4
        dying.kill()
        await_state(by_hand, asked["trial"], "stopped")
    stopped = study.result(asked["trial"])
    assert (stopped.attempt, stopped.reason) == (1, "asked to stop")
    assert stopped.values == {"loss": 0.9}  # its measurements count
    assert study.state == "active"
    # The study goes on with another trial, and with no other attempt at this one.
    with study.ask(timeout=20) as other:
        assert (other.number, other.attempt) == (2, 1)
        other.complete(loss=0.2)
    assert study.result(asked["trial"]).attempt == 1
    check_log(by_hand.log("api"))


def make_study(client: tt.Client, **options: Any) -> tt.Study:
    """A study of a few given configs, with 3 s leases."""
    return client.create_study(
        "given",
        space=[tt.Float("rate", 0.0, 1.0)],
        minimize="loss",
        budget=tt.Budget(trials=3),
        lease_seconds=LEASE_SECONDS,
        **options,
    )


@contextmanager
def worker(by_hand: ByHand, role: str, study: str) -> Iterator["subprocess.Popen[str]"]:
    """A hesitant worker, gone at the end."""
    with by_hand.work(role, Path(hesitant.__file__), role, study) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The worker's next line."""
    assert process.stdout is not None
    output = process.stdout
    await_found(lambda: select.select([output], [], [], 0)[0], seconds=30, what="the worker's word")
    return json.loads(process.stdout.readline())


def answered(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """Let the worker go on, and return what it says then."""
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()
    return heard(process)


def await_state(by_hand: ByHand, trial: str, state: str) -> None:
    """Wait until nobody holds the trial and it stands like this."""
    query = "select 1 from trial where public_id = %s and state = %s"
    with psycopg.connect(by_hand.database_url, autocommit=True) as connection:
        await_found(
            lambda: connection.execute(query, (trial, state)).fetchone(),
            seconds=LEASE_SECONDS + 15,
            what=f"a trial that is {state}",
        )


def snapshot(by_hand: ByHand, trial: str) -> list[str]:
    """All that is stored about the trial and its study's counters, but for the lease's end."""
    ours = "with t as (select * from trial where public_id = %(trial)s) "
    with psycopg.connect(by_hand.database_url) as connection:
        rows = connection.execute(ours + SNAPSHOT, {"trial": trial}).fetchall()
    return sorted(json.dumps(row, sort_keys=True) for row in rows)
