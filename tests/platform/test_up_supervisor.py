"""Children, their guardian, restarts with back-off, the order of the end, and bounded logs."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from service.up.backoff import LONGEST, Backoff
from service.up.child import Child
from service.up.clock import wait_until
from service.up.guardian import Guardian
from service.up.rotation import rotate, tail
from service.up.supervisor import Interrupted, Supervisor

STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(other.pid, flush=True)\n"
    "time.sleep(600)\n"
)


def gone(pid):
    """Whether the process is dead, collected or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def guardian():
    made = Guardian()
    yield made
    made.close()


@pytest.fixture
def make_child(tmp_path, guardian):
    made = []

    def make(name, program, **more):
        log = tmp_path / f"{name}.log"
        child = Child(name, (sys.executable, "-c", program), dict(os.environ), log, guardian)
        for key, value in more.items():
            setattr(child, key, value)
        made.append(child)
        return child

    yield make
    for child in made:
        child.stop(0)


def started(child):
    """Start a child that prints a number, and return the number."""
    child.start()
    assert wait_until(lambda: child.log_file.read_text().strip() != "", 20)
    return int(child.log_file.read_text().split()[-1])


def test_a_stopped_child_takes_its_own_children_with_it(make_child):
    child = make_child("stubborn", STUBBORN)
    grandchild = started(child)
    child.stop(0.3)
    assert not child.alive()
    assert wait_until(lambda: gone(grandchild), 10)


def test_a_child_started_again_finds_nothing_left_of_the_last_time(make_child):
    child = make_child("stubborn", STUBBORN)
    grandchild = started(child)
    os.kill(child._process.pid, signal.SIGKILL)
    assert wait_until(lambda: not child.alive(), 10)
    assert child.ending() == "killed by SIGKILL"
    assert not gone(grandchild)
    child.start()
    assert wait_until(lambda: gone(grandchild), 10)


def test_a_child_runs_as_nicely_as_it_is_told(make_child):
    child = make_child("nice", "import time; print(1, flush=True); time.sleep(60)", nice=10)
    started(child)
    assert psutil.Process(child._process.pid).nice() == 10


KILLED_PARENT = """
import os, sys
from pathlib import Path
from service.up.child import Child
from service.up.guardian import Guardian
command = (sys.executable, "-c", sys.argv[1])
child = Child("c", command, dict(os.environ), Path(sys.argv[2]), Guardian())
child.start()
print(child._process.pid, flush=True)
sys.stdin.read()
"""


def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    log = tmp_path / "log"
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED_PARENT, STUBBORN, str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with parent:
        child = int(parent.stdout.readline())
        assert wait_until(lambda: log.read_text().strip() != "", 20)
        grandchild = int(log.read_text())
        parent.kill()
    assert wait_until(lambda: gone(child) and gone(grandchild), 10)


def test_a_guardian_that_was_killed_is_replaced_and_knows_its_groups(make_child):
    child = make_child("sleeper", "import time; print(1, flush=True); time.sleep(600)")
    started(child)
    child.guardian._process.kill()
    child.guardian._process.wait()
    other = make_child("other", "import time; print(1, flush=True); time.sleep(600)")
    started(other)
    child.guardian.close()
    assert wait_until(lambda: not child.alive() and not other.alive(), 10)


class FakePart:
    """A part whose life the test decides."""

    log = "no log"

    def __init__(self, name, story):
        self.name, self.story = name, story
        self.runs = False
        self.fails = False

    def start(self):
        self.story.append(f"start {self.name}")
        if self.fails:
            raise RuntimeError("no room")
        self.runs = True

    def alive(self):
        return self.runs

    def ending(self):
        return "exit status 3"

    def stop(self, seconds):
        self.story.append(f"stop {self.name} {seconds:g}")


@pytest.fixture
def story():
    return []


@pytest.fixture
def supervisor(story):
    return Supervisor(story.append)


def run_until(supervisor, done):
    """Let the supervisor watch until the test has seen what it waits for."""
    ticks = iter(range(100))

    def chore():
        if done() or next(ticks) == 99:
            supervisor._hear(signal.SIGTERM, None)

    supervisor.run([chore])


def test_parts_end_in_the_opposite_order_of_their_start(supervisor, story):
    supervisor.start(FakePart("database", story))
    supervisor.start(FakePart("api", story))
    supervisor.start_when(lambda: False, FakePart("fleet", story))
    supervisor.stop()
    ends = [line for line in story if line.startswith("stop ")]
    assert ends == ["stop api 10", "stop database 10"]


def test_a_part_that_ends_is_started_again_and_said_so(supervisor, story):
    part = FakePart("api", story)
    supervisor.start(part)
    part.runs = False
    run_until(supervisor, lambda: part.runs)
    assert story.count("start api") == 2
    assert "api ended (exit status 3); starting it again in 0.2 s. Its log: no log" in story


def test_a_part_that_cannot_be_started_again_is_tried_later_and_later(supervisor, story):
    part = FakePart("database", story)
    supervisor.start(part)
    part.runs, part.fails = False, True
    run_until(supervisor, lambda: story.count("start database") == 3)
    said = [line for line in story if "again in" in line]
    assert ["no room" in line for line in said][:3] == [False, True, True]
    assert [line.split(" again in ")[1].split(" ")[0] for line in said][:3] == ["0.2", "0.4", "0.8"]


def test_a_part_is_started_once_it_is_wanted(supervisor, story):
    wanted = iter([False, False, True])
    supervisor.start_when(lambda: next(wanted), FakePart("fleet", story))
    run_until(supervisor, lambda: "start fleet" in story)
    assert story == ["start fleet"]


def test_a_signal_while_starting_stops_the_start(supervisor, story):
    supervisor.start(FakePart("database", story))
    supervisor._hear(signal.SIGINT, None)
    with pytest.raises(Interrupted):
        supervisor.start(FakePart("api", story))
    assert "start api" not in story


def test_a_second_signal_ends_without_patience(supervisor, story):
    supervisor.start(FakePart("api", story))
    supervisor._hear(signal.SIGINT, None)
    supervisor._hear(signal.SIGINT, None)
    supervisor.stop()
    assert story[-1] == "stop api 0"


def test_the_wait_doubles_up_to_a_limit_and_is_forgiven_after_a_minute():
    backoff = Backoff().begun(0.0)
    waits = []
    for _ in range(10):
        backoff = backoff.ended(1.0)
        waits.append(round(backoff.again - 1.0, 3))
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, LONGEST, LONGEST]
    assert backoff.begun(100.0).ended(161.0).again == pytest.approx(161.2)


def test_a_log_is_cut_while_its_writer_goes_on(tmp_path):
    log = tmp_path / "api.log"
    with log.open("a") as writer:
        for number in range(5):
            writer.write(f"{number}" * 100)
            writer.flush()
            assert rotate(log, limit=50, kept=2)
        writer.write("after")
    assert not rotate(log, limit=50, kept=2)
    assert log.read_text() == "after"
    assert (tmp_path / "api.log.1").read_text() == "4" * 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["api.log", "api.log.1", "api.log.2"]


def test_the_tail_of_a_log_is_its_last_lines(tmp_path):
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_text("\n".join(map(str, range(10_000))))
    assert tail(log, 2) == "9998\n9999"


def test_a_command_that_runs_once_says_whether_it_succeeded(make_child):
    assert make_child("good", "pass").run(lambda: None)
    assert not make_child("bad", "raise SystemExit(3)").run(lambda: None)


def test_a_command_that_runs_once_ends_when_it_is_no_longer_wanted(make_child):
    child = make_child("long", STUBBORN)

    def check():
        if child.log_file.read_text().strip():
            raise Interrupted

    with pytest.raises(Interrupted):
        child.run(check)
    assert wait_until(lambda: gone(int(child.log_file.read_text())), 10)
