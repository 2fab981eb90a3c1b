"""The fleet as it is started, with a real Ray, against a server that remembers."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def started(bench: Any, *options: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A fleet in a process of its own."""
    environment = os.environ | variables
    environment |= {
        "TRIMTAB_HOME": str(bench.logs.parent / "home"),
        "TRIMTAB_API_KEY": "tt_testtest_secret_00000000",
        "TRIMTAB_DATABASE_URL": "postgresql://secret",
    }
    command = [sys.executable, "-P", "-m", "trimtab", "fleet", "--url", bench.fake.url]
    command += ["--code", str(bench.folder), *options]
    with subprocess.Popen(command, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def fleet(bench: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A fleet with a Ray of its own, of two CPUs and two GPUs that need not exist."""
    with started(bench, "--cpus", "2", "--gpus", "2") as process:
        yield process


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


SOMEBODYS_RAY = """
import os, sys, tempfile
import ray
ray.init(
    address="local", include_dashboard=False, num_cpus=1, log_to_driver=False,
    object_store_memory=100 * 2**20, _temp_dir=sys.argv[1],
)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
print(ray.cluster_resources()["CPU"], ray.available_resources().get("CPU"), flush=True)
"""


@pytest.fixture
def cluster() -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A Ray cluster that is not the fleet's, and the variables that open it."""
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    access["RAY_USAGE_STATS_ENABLED"] = "0"
    with (
        tempfile.TemporaryDirectory(prefix="tt-ray-", dir="/tmp") as folder,
        subprocess.Popen(
            [sys.executable, "-P", "-c", SOMEBODYS_RAY, folder],
            env=os.environ | access,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield process, access
        process.terminate()


def test_a_fleet_joins_a_cluster_and_leaves_it_running(
    cluster: tuple[subprocess.Popen[str], dict[str, str]], bench: Any
) -> None:
    process, access = cluster
    assert process.stdin is not None
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    server = bench.fake.state
    bench.program(SLOW)
    server.studies = [managed(parallel=4)]
    server.add(), server.add()
    with started(bench, "--ray-address", address, **access) as fleet:
        server.until(lambda s: s.reports, 60)
        server.until(lambda s: s.fleet[-1]["resources"].get("cpu") == 1)
        fleet.terminate()
        assert fleet.wait(10) == 0
    assert [r["trial"] for r in server.released] == ["tr_0"]
    process.stdin.close()
    assert process.stdout.readline().split() == ["1.0", "1.0"]
