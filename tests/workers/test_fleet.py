"""The fleet as it is started, with a real Ray, against a server that remembers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

STATES = ("queued", "running", "completed", "stopped", "infeasible", "failed", "cancelled")
SLOW = """
import os, time
def main(trial):
    trial.report(0, {"loss": 1.0, "pid": os.getpid(), "group": os.getpgid(0)})
    trial.flush()
    time.sleep(1000)
"""


def managed(parallel: int = 2, **resources: float) -> dict[str, Any]:
    """A listed study that runs train.py."""
    return {
        "id": "st_1",
        "name": "study",
        "budget": {"trials": None, "hours": None, "target": None},
        "trials": dict.fromkeys(STATES, 0),
        "managed": {
            "run": {"kind": "program", "path": "train.py:main"},
            "resources": resources or {"cpu": 1.0},
            "parallel": parallel,
            "max_seconds": None,
        },
    }


@pytest.fixture
def fleet(bench: Any, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A fleet in a process of its own, with two CPUs and two GPUs that need not exist."""
    environment = os.environ | {
        "TRIMTAB_HOME": str(tmp_path / "home"),
        "TRIMTAB_API_KEY": "tt_testtest_secret_00000000",
        "TRIMTAB_DATABASE_URL": "postgresql://secret",
    }
    command = [sys.executable, "-P", "-m", "trimtab", "fleet", "--url", bench.fake.url]
    command += ["--code", str(bench.folder), "--cpus", "2", "--gpus", "2"]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def offspring(fleet: subprocess.Popen[bytes]) -> list[int]:
    """Every process below the fleet."""
    return [process.pid for process in psutil.Process(fleet.pid).children(recursive=True)]


def test_a_fleet_runs_studies_says_so_and_leaves_nothing(
    fleet: subprocess.Popen[bytes], bench: Any, gone: Callable[[int], None]
) -> None:
    server = bench.fake.state
    bench.program(SLOW)
    server.studies = [managed()]
    server.add(), server.add(), server.add()
    server.until(lambda s: len(s.reports) == 2, 60)
    server.until(lambda s: [a["state"] for a in s.fleet[-1]["agents"]] == ["running"] * 2)
    said = server.fleet[-1]
    assert said["resources"]["cpu"] == 2
    assert [a["study"] for a in said["agents"]] == ["st_1", "st_1"]
    assert len({a["name"] for a in said["agents"]}) == 2
    assert [r["name"] for r in said["recipes"]] == ["torch-classifier"]

    everything = offspring(fleet)
    fleet.send_signal(signal.SIGTERM)
    assert fleet.wait(10) == 0
    assert sorted(r["trial"] for r in server.released) == ["tr_0", "tr_1"]
    for pid in everything:
        gone(pid)


def test_a_killed_agent_is_replaced(fleet: subprocess.Popen[bytes], bench: Any) -> None:
    server = bench.fake.state
    bench.program(SLOW)
    server.studies = [managed(parallel=1)]
    server.add(), server.add()
    server.until(lambda s: len(s.reports) == 1, 60)
    first = psutil.Process(int(server.reports[0]["values"]["group"])).parent()
    assert first is not None
    first.kill()
    server.until(lambda s: len(s.reports) == 2, 30)
    assert server.reports[1]["trial"] == "tr_1"


def test_agents_of_a_study_that_left_the_list_go(
    fleet: subprocess.Popen[bytes], bench: Any, gone: Callable[[int], None]
) -> None:
    server = bench.fake.state
    bench.program("import os\ndef main(trial):\n    trial.report(0, loss=1.0, pid=os.getpid())\n")
    server.studies = [managed(parallel=1)]
    server.add()
    server.until(lambda s: s.told, 60)
    server.studies = []
    gone(int(server.reports[0]["values"]["pid"]))
    server.until(lambda s: s.fleet[-1]["agents"] == [], 30)


def test_several_gpus_are_held_in_one_piece(
    fleet: subprocess.Popen[bytes], bench: Any, gone: Callable[[int], None]
) -> None:
    server = bench.fake.state
    bench.program(
        "import os\ndef main(trial):\n    print(os.environ['CUDA_VISIBLE_DEVICES'])\n    1/0"
    )
    server.studies = [managed(parallel=5, cpu=1.0, gpu=2.0)]
    server.add()
    server.until(lambda s: s.told, 60)
    assert sorted(server.told[0]["log_tail"].splitlines()[0]) == [",", "0", "1"]
    server.until(lambda s: len(s.fleet[-1]["agents"]) == 1)


def test_a_killed_fleet_leaves_nothing(
    fleet: subprocess.Popen[bytes], bench: Any, gone: Callable[[int], None]
) -> None:
    server = bench.fake.state
    bench.program(SLOW)
    server.studies = [managed()]
    server.add()
    server.until(lambda s: s.reports, 60)
    everything = offspring(fleet)
    fleet.kill()
    for pid in everything:
        gone(pid)
    assert not server.told
