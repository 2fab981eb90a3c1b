"""An agent that is killed takes its child's whole group with it."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

AGENT = """
import pickle, sys
from pathlib import Path
from trimtab._address import Address
from trimtab._transport import Transport
from workers.agent import Agent
order = pickle.loads(Path(sys.argv[1]).read_bytes())
Agent(order, Transport(Address(order.url, order.key))).run()
"""

# Leaves a process that ignores polite signals, and holds the interpreter's lock: no thread of this
# process could see to its end.
STUBBORN = """
import ctypes, os, subprocess, sys
def main(trial):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
    other = subprocess.Popen([sys.executable, "-c", code])
    trial.report(0, {"loss": 1.0, "pid": os.getpid(), "other": other.pid})
    trial.flush()
    ctypes.PyDLL(None).sleep(1000)
"""


@pytest.fixture
def agent(bench: Any, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An agent in a process of its own, running a stubborn trial."""
    bench.program(STUBBORN)
    file = tmp_path / "order"
    file.write_bytes(pickle.dumps(bench.order()))
    bench.fake.state.add()
    with subprocess.Popen([sys.executable, "-P", "-c", AGENT, str(file)]) as process:
        bench.fake.state.until(lambda s: s.reports)
        yield process
        process.kill()


def test_a_killed_agent_takes_the_group_with_it(
    agent: subprocess.Popen[bytes], bench: Any, gone: Callable[[int], None]
) -> None:
    values = bench.fake.state.reports[0]["values"]
    agent.send_signal(signal.SIGKILL)
    for pid in (int(values["pid"]), int(values["other"])):
        gone(pid)
    assert not bench.fake.state.told


def test_a_killed_guardian_takes_the_group_with_it(
    agent: subprocess.Popen[bytes], bench: Any, gone: Callable[[int], None]
) -> None:
    values = bench.fake.state.reports[0]["values"]
    pid = int(values["pid"])
    os.kill(os.getpgid(pid), signal.SIGKILL)
    for number in (pid, int(values["other"])):
        gone(number)
    bench.fake.state.until(lambda s: s.released)
    assert bench.fake.state.released[0]["exit"] == "killed by SIGKILL"


def test_the_group_is_not_the_agents(agent: subprocess.Popen[bytes], bench: Any) -> None:
    pid = int(bench.fake.state.reports[0]["values"]["pid"])
    assert os.getpgid(pid) != os.getpgid(agent.pid)
    assert os.getsid(pid) != os.getsid(agent.pid)
