"""`make demo`: runs to its end, goes on after Ctrl-C, and leaves nothing running."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.up.clock import wait_until
from tests.platform.running import RunningUp, kill_all_in, processes_in

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo(folder):
    """Start the demo as make does, in a home of the test's own; it prints to a file."""
    begun = []

    def start(*variables):
        output = folder / f"demo-{len(begun)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [
                    *("make", "-o", ".venv/.ready", "demo", f"PYTHON={sys.executable}"),
                    f"DEMO_HOME={folder / 'home'}",
                    *variables,
                ],
                cwd=ROOT,
                env={k: v for k, v in os.environ.items() if not k.startswith("TRIMTAB_")},
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        begun.append(process)
        return process, output

    yield start
    for process in begun:
        process.kill()
        process.wait()
    kill_all_in(folder)


def test_it_runs_to_its_end_and_the_next_one_finds_the_first(demo, folder):
    process, output = demo("TRIALS=3")
    assert process.wait(300) == 0, output.read_text()
    said = output.read_text()
    assert "Made the study digits: 3 trials" in said
    accuracies = re.search(r"validation +([\d.]+)% +test +([\d.]+)%", said)
    assert float(accuracies[1]) > 80
    assert float(accuracies[2]) > 80
    assert "http://127.0.0.1:" in said
    assert processes_in(folder / "home") == []

    process, output = demo("TRIALS=2")
    assert process.wait(300) == 0, output.read_text()
    assert "Made the study digits-2: 2 trials" in output.read_text()


def test_ctrl_c_leaves_nothing_running_and_the_next_one_goes_on(demo, folder):
    process, output = demo("TRIALS=4")
    assert wait_until(lambda: "trial 0  completed" in output.read_text(), 240), output.read_text()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(120) != 0
    assert "Nothing is lost" in output.read_text()
    assert processes_in(folder / "home") == []

    process, output = demo("TRIALS=2")
    assert process.wait(300) == 0, output.read_text()
    said = output.read_text()
    assert re.search(r"Going on with digits: [123] of 4 trials have ended", said)
    assert "digits: 4 trials" in said


def test_a_trimtab_that_runs_already_is_used_and_left(demo, folder):
    up = RunningUp(folder / "home").ready()
    try:
        process, output = demo("TRIALS=1")
        assert process.wait(300) == 0, output.read_text()
        assert up.url in output.read_text()
        assert up.get("/readyz").status_code == 200
    finally:
        up.process.terminate()
        up.wait()


def test_a_trimtab_that_cannot_start_is_said(demo, folder):
    (folder / "home").write_text("in the way")
    process, output = demo("TRIALS=1")
    assert process.wait(60) != 0
    assert "Traceback" not in output.read_text()
    assert str(folder / "home") in output.read_text()
