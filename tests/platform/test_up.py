"""`trimtab up` as its user meets it: real processes, real kills."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from service.up.clock import wait_until
from tests.platform.running import RunningUp, kill_all_in, processes_in


@pytest.fixture
def start(folder):
    """Start `trimtab up` in a folder of the test's own; what is left of it is killed."""
    begun = []

    def begin(*options, **environment):
        up = RunningUp(folder / "home", *options, **environment)
        begun.append(up)
        return up

    yield begin
    for up in begun:
        up.kill()
    kill_all_in(folder)


def part(up, command):
    """The process of a part, by its command: serve, suggest or fleet."""
    children = [p for p in up.process.children() if command in p.cmdline()]
    return children[0] if children else None


def test_it_serves_and_a_second_one_says_where(start, folder):
    up = start().ready()
    answer = up.get("/v1/me")
    assert answer.status_code == 200
    assert "admin" in answer.json()["scopes"]
    second = start()
    assert second.wait() == 0
    assert up.url in second.said()
    assert str(up.process.pid) in second.said()
    assert up.get("/readyz").json() == {"status": "ready"}
    assert part(up, "suggest").nice() == 10
    assert part(up, "fleet") is None


def test_ctrl_c_ends_everything_and_the_next_start_goes_on(start, folder):
    up = start().ready()
    assert len(processes_in(folder)) > 3
    made = up.post("/v1/keys", {"name": "mine", "scopes": ["read"], "days": None}).json()["key"]
    up.process.send_signal(signal.SIGINT)
    assert up.wait() == 0
    assert processes_in(folder) == []
    order = [line.removeprefix("stopping ") for line in up.lines() if line.startswith("stopping")]
    assert order == ["suggester", "api", "postgres"]
    again = start().ready()
    assert again.get("/v1/me", key=made).status_code == 200
    assert again.key == up.key
    assert again.get("/v1/me").status_code == 200


def test_a_killed_up_leaves_postgres_only_and_the_next_one_takes_it_over(start, folder):
    up = start().ready()
    made = up.post("/v1/keys", {"name": "mine", "scopes": ["read"], "days": None}).json()["key"]
    postmaster = int((folder / "home/pg/postmaster.pid").read_text().split()[0])
    up.process.kill()
    up.wait()
    assert wait_until(lambda: processes_in(folder, but="postgres") == [], 20)
    assert psutil.pid_exists(postmaster)
    again = start().ready()
    assert int((folder / "home/pg/postmaster.pid").read_text().split()[0]) == postmaster
    assert again.get("/v1/me", key=made).status_code == 200
    assert again.url == up.url
    again.process.send_signal(signal.SIGTERM)
    assert again.wait() == 0
    assert processes_in(folder) == []


def test_callers_of_a_killed_api_wait_and_are_not_refused(start):
    up = start().ready()
    for _ in range(2):
        before = part(up, "serve")
        before.kill()
        assert up.get("/healthz").status_code == 200
        assert part(up, "serve").pid != before.pid
    assert "api ended (killed by SIGKILL)" in up.said()


def test_a_killed_postgres_and_suggester_come_back(start, folder):
    up = start().ready()
    suggester = part(up, "suggest")
    suggester.kill()
    os.kill(int((folder / "home/pg/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert wait_until(lambda: up.get("/readyz").status_code == 503, 20)
    assert wait_until(lambda: up.get("/readyz").status_code == 200, 60)
    assert wait_until(lambda: part(up, "suggest") not in {None, suggester}, 30)


def test_a_signal_during_the_start_leaves_nothing(start, folder):
    up = start()
    assert wait_until(lambda: "starting PostgreSQL" in up.said(), 30)
    up.process.send_signal(signal.SIGINT)
    assert up.wait() == 0
    assert processes_in(folder) == []
    assert start().ready().get("/readyz").status_code == 200


def test_a_server_of_the_users_own_is_used_and_left_running(start, folder, postgres):
    database = postgres.create()
    up = start(TRIMTAB_DATABASE_URL=database).ready()
    assert up.get("/v1/me").status_code == 200
    assert not (folder / "home/pg").exists()
    up.process.send_signal(signal.SIGINT)
    assert up.wait() == 0
    postgres.drop(database)


def test_a_database_that_is_not_there_is_said(start):
    up = start(TRIMTAB_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert up.wait() == 1
    assert "the tables could not be made" in up.said()
    assert "cannot be reached" in up.said()


def test_a_home_that_cannot_be_is_said(start, folder):
    (folder / "home").write_text("in the way")
    up = start()
    assert up.wait() == 1
    assert f"the home {folder / 'home'} cannot be used" in up.said()


def test_a_port_that_was_asked_for_and_is_taken_is_said(start, folder):
    first = start().ready()
    busy = httpx.URL(first.url).port
    program = [sys.executable, "-P", "-m", "trimtab", "up"]
    done = subprocess.run(
        [*program, "--home", str(folder / "other"), "--port", str(busy)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "no port to listen on" in done.stdout
    assert processes_in(folder / "other") == []


def test_logs_and_credentials_are_the_users_alone(start, folder):
    start().ready()
    home = folder / "home"
    private = [path for path in home.rglob("*") if not path.is_relative_to(home / "pg")]
    readable = [p for p in private if p.stat().st_mode & 0o077 and p.parent == home and p.is_file()]
    assert [path.name for path in readable] == ["up.pid"]
    assert Path(home / "credentials.json").stat().st_mode & 0o777 == 0o600
