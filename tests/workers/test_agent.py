"""Agents with real children against a server that remembers."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPORTS = """
import os, sys
def main(trial):
    print("config", trial.config, "pid", os.getpid())
    for epoch in range(3):
        trial.report(epoch, loss=trial.config["x"] / (epoch + 1))
"""

# Says its pid and that of a process of its own, and then hangs for ever.
HANGS = """
import os, subprocess, sys, time
def main(trial):
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    trial.report(0, {"loss": 1.0, "pid": os.getpid(), "other": started.pid})
    trial.flush()
    time.sleep(1000)
"""


def pids(server: Any) -> tuple[int, int]:
    values = server.reports[-1]["values"]
    return int(values["pid"]), int(values["other"])


def test_a_child_runs_trials_one_after_another_and_tells_them(bench: Any) -> None:
    bench.program(REPORTS + "    trial.report(9, pid=os.getpid())\n")
    server = bench.fake.state
    for x in (1.0, 2.0):
        server.add({"x": x})
    agent = bench.start()
    server.until(lambda s: len(s.told) == 2)

    assert [told["kind"] for told in server.told] == ["completed", "completed"]
    assert {r["values"]["pid"] for r in server.reports if "pid" in r["values"]} == {
        server.reports[3]["values"]["pid"]
    }
    steps = [(r["trial"], r["step"], r["values"]["loss"]) for r in server.reports if r["step"] < 9]
    assert steps[:3] == [("tr_0", 0, 1.0), ("tr_0", 1, 0.5), ("tr_0", 2, 1 / 3)]
    assert set(server.keys) == {"Bearer tt_testtest_secret_00000000"}
    server.ended = True
    bench.agents[0][1].join(20)
    assert agent.status().state == "ended"
    assert agent.status().trials == 2


def test_what_a_trial_prints_is_told_and_in_its_own_file(bench: Any) -> None:
    bench.program("def main(trial):\n    print('x' * 20000, 'number', trial.number)\n    1 / 0\n")
    server = bench.fake.state
    server.add(), server.add()
    bench.start()
    server.until(lambda s: len(s.told) == 2)

    for number, told in enumerate(server.told):
        assert told["kind"] == "failed"
        assert told["reason"] == "user_error"
        assert "ZeroDivisionError" in told["message"]
        assert f"number {number}" in told["log_tail"]
        assert f"number {1 - number}" not in told["log_tail"]
        assert len(told["log_tail"]) <= 16 * 1024
        logged = (bench.logs / "study" / f"{number}-1.log").read_text()
        assert logged.count("x") >= 20000
        assert "ZeroDivisionError" in logged


def test_a_failure_does_not_outlive_its_process(bench: Any) -> None:
    bench.program("seen = []\ndef main(trial):\n    seen.append(1)\n    assert len(seen) == 2\n")
    server = bench.fake.state
    server.add(), server.add()
    bench.start()
    server.until(lambda s: len(s.told) == 2)
    assert [told["kind"] for told in server.told] == ["failed", "failed"]


def test_a_child_that_leaves_has_failed(bench: Any) -> None:
    bench.program("import os\ndef main(trial):\n    print('bye', flush=True)\n    os._exit(3)\n")
    bench.fake.state.add()
    bench.start()
    bench.fake.state.until(lambda s: s.told)
    told = bench.fake.state.told[0]
    assert (told["kind"], told["reason"], told["exit"]) == ("failed", "user_error", "exit code 3")
    assert "bye" in told["log_tail"]


def test_a_child_that_crashes_has_failed(bench: Any) -> None:
    source = "import os, signal\ndef main(trial):\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
    bench.program(source)
    bench.fake.state.add()
    bench.start()
    bench.fake.state.until(lambda s: s.told)
    assert bench.fake.state.told[0]["exit"] == "killed by SIGSEGV"


def test_a_child_that_was_killed_gives_its_trial_back(
    bench: Any, gone: Callable[[int], None]
) -> None:
    bench.program(HANGS)
    server = bench.fake.state
    server.add()
    bench.start()
    server.until(lambda s: s.reports)
    pid, other = pids(server)
    os.kill(pid, signal.SIGKILL)
    server.until(lambda s: s.released)
    assert server.released[0]["exit"] == "killed by SIGKILL"
    assert not server.told
    gone(other)


def test_out_of_memory_is_told_as_such(bench: Any) -> None:
    bench.program("def main(trial):\n    raise MemoryError\n")
    bench.fake.state.add()
    bench.start()
    bench.fake.state.until(lambda s: s.told)
    assert bench.fake.state.told[0]["reason"] == "oom"


def test_a_cancelled_trial_takes_its_whole_group_with_it(
    bench: Any, gone: Callable[[int], None]
) -> None:
    bench.program(HANGS)
    server = bench.fake.state
    server.lease_seconds = 0.5
    server.add()
    bench.start()
    server.until(lambda s: s.reports)
    server.cancel()
    for pid in pids(server):
        gone(pid)
    assert not server.told
    assert not server.released


def test_a_trial_that_takes_too_long_is_ended(bench: Any, gone: Callable[[int], None]) -> None:
    bench.program(HANGS)
    server = bench.fake.state
    server.add()
    bench.start(bench.order(max_seconds=6.0))
    server.until(lambda s: s.told)
    assert (server.told[0]["kind"], server.told[0]["reason"]) == ("failed", "timeout")
    for pid in pids(server):
        gone(pid)


def test_a_request_to_stop_reaches_a_program_that_reports(bench: Any) -> None:
    bench.program(
        "import time\ndef main(trial):\n    step = 0\n"
        "    while not trial.report(step, loss=1.0).stop:\n        step += 1\n"
        "        time.sleep(0.01)\n"
    )
    server = bench.fake.state
    server.lease_seconds = 0.5
    server.add()
    server.request = {"kind": "stop", "reason": "enough"}
    bench.start()
    server.until(lambda s: s.told)
    assert server.told[0]["kind"] == "stopped"
    assert server.told[0]["reason"] == "enough"


def test_a_program_that_does_not_listen_is_stopped(bench: Any, gone: Callable[[int], None]) -> None:
    bench.program(HANGS)
    server = bench.fake.state
    server.lease_seconds = 0.5
    server.add()
    bench.start()
    server.until(lambda s: s.reports)
    server.request = {"kind": "stop", "reason": "enough"}
    server.until(lambda s: s.told)
    assert (server.told[0]["kind"], server.told[0]["reason"]) == ("stopped", "enough")
    for pid in pids(server):
        gone(pid)


def test_a_request_to_release_gives_the_trial_back(bench: Any, gone: Callable[[int], None]) -> None:
    bench.program(HANGS)
    server = bench.fake.state
    server.lease_seconds = 0.5
    server.add()
    bench.start()
    server.until(lambda s: s.reports)
    server.request = {"kind": "release", "reason": "paused"}
    server.until(lambda s: s.released)
    assert server.released[0]["reason"] == "paused"
    for pid in pids(server):
        gone(pid)


def test_an_agent_that_is_stopped_gives_its_trial_back(
    bench: Any, gone: Callable[[int], None]
) -> None:
    bench.program(HANGS)
    server = bench.fake.state
    server.add()
    agent = bench.start()
    server.until(lambda s: s.reports)
    assert agent.stop("the fleet was stopped", within=10)
    assert server.released[0]["reason"] == "the fleet was stopped"
    for pid in pids(server):
        gone(pid)
    assert agent.status().state == "ended"


def test_an_agent_that_retires_finishes_its_trial(bench: Any) -> None:
    bench.program(
        "import pathlib, time\ndef main(trial):\n    trial.report(0, loss=1.0)\n    trial.flush()\n"
        "    while not pathlib.Path('go').exists():\n        time.sleep(0.02)\n"
    )
    server = bench.fake.state
    server.add(), server.add()
    agent = bench.start()
    server.until(lambda s: s.reports)
    agent.retire()
    (bench.folder / "go").touch()
    server.until(lambda s: s.told)
    bench.agents[0][1].join(20)
    assert agent.status().state == "ended"
    assert len(server.queue) == 1


def test_an_agent_without_a_master_goes(bench: Any) -> None:
    from dataclasses import replace

    order = bench.order()
    agent = bench.start(bench.order(timings=replace(order.timings, orphan=0.5)))
    bench.agents[0][1].join(20)
    assert agent.orphaned
    assert agent.status().state == "ended"


def test_a_program_outside_the_allowed_folders_is_refused(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("def main(trial):\n    pass\n")
    (bench.folder / "link.py").symlink_to(tmp_path / "secret.py")
    server = bench.fake.state
    server.add()
    bench.start(bench.order({"kind": "program", "path": "link.py:main"}))
    server.until(lambda s: s.told)
    assert server.told[0]["reason"] == "user_error"
    assert "TRIMTAB_CODE" in server.told[0]["message"]


def test_a_child_sees_no_secret_of_the_service(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("TRIMTAB_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("TRIMTAB_KEY_PEPPER", "secret")
    monkeypatch.setenv("TRIMTAB_BOOTSTRAP_KEY", "secret")
    bench.program("import os\ndef main(trial):\n    print(dict(os.environ))\n    1 / 0\n")
    server = bench.fake.state
    server.add()
    bench.start()
    server.until(lambda s: s.told)
    assert "TRIMTAB_URL" in server.told[0]["log_tail"]
    assert "secret'" not in server.told[0]["log_tail"].replace("tt_testtest_secret", "")


def test_a_child_that_cannot_start_ends_its_agent_and_not_the_trial(
    bench: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "httpx.py").write_text("raise ImportError('no httpx today')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    bench.program(REPORTS)
    server = bench.fake.state
    server.add()
    agent = bench.start()
    server.until(lambda s: s.released)
    bench.agents[0][1].join(20)
    assert agent.status().failed
    assert "no httpx today" in str(agent.status().reason)
    assert not server.told


CHECKPOINTS = """
import os, signal
def main(trial):
    file = trial.load_checkpoint()
    step = int(file.read_text()) if file else 0
    while step < 6:
        step += 1
        trial.report(step, loss=1 / step)
        if step == 2:
            trial.save_checkpoint(str(step).encode(), step=step)
        if step == 3 and trial.attempt == 1:
            trial.flush()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_trial_goes_on_from_its_checkpoint(bench: Any) -> None:
    bench.program(CHECKPOINTS)
    server = bench.fake.state
    server.add()
    bench.start()
    server.until(lambda s: s.released)
    server.add(attempt=2)
    server.until(lambda s: s.told)
    assert server.told[0]["kind"] == "completed"
    steps = [(report["trial"], report["step"]) for report in server.reports]
    assert steps == [("tr_0", n) for n in (1, 2, 3)] + [("tr_1", n) for n in (3, 4, 5, 6)]
