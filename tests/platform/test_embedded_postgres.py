"""The embedded PostgreSQL: made once, closed to strangers, found again after any kill."""

import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest

from service.up.account import Account
from service.up.binaries import programs
from service.up.clock import wait_until
from service.up.cluster import ensure_database, prepare
from service.up.home import Home
from service.up.postgres import LONGEST_SOCKET_FOLDER, Postgres, PostgresFailed


@pytest.fixture
def home(folder):
    made = Home(folder / "home")
    made.prepare()
    return made


@pytest.fixture
def server(home):
    postgres = prepare(home)
    postgres.start()
    ensure_database(postgres)
    yield postgres
    postgres.stop(10)


def ask(postgres, query):
    with psycopg.connect(postgres.url()) as connection:
        return connection.execute(query).fetchone()[0]


def test_it_speaks_on_a_socket_only_and_to_nobody_without_the_password(server):
    assert ask(server, "show listen_addresses") == ""
    assert ask(server, "show server_encoding") == "UTF8"
    for stranger in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.url().replace(server.password, stranger))
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700


def test_a_second_start_finds_it_running(server, home):
    postmaster = (server.data / "postmaster.pid").read_text()
    again = prepare(Home(home.path))
    again.start()
    ensure_database(again)
    assert (server.data / "postmaster.pid").read_text() == postmaster


def test_what_was_committed_outlives_a_kill_of_the_server(server):
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table kept (n int)")
        connection.execute("insert into kept values (7)")
    os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert wait_until(lambda: not server.alive(), 10)
    server.start()
    assert ask(server, "select n from kept") == 7


@pytest.fixture
def stranger(server):
    """A process of the server's account that has nothing to do with it."""
    with subprocess.Popen(
        ["sleep", "600"], user=server.account.uid, group=server.account.gid
    ) as process:
        yield process
        process.kill()


def test_a_lock_that_names_a_stranger_does_not_keep_it_from_starting(server, stranger):
    server.stop(10)
    lock = f"{stranger.pid}\n{server.data}\n1\n5432\n{server.sockets}\n\n1 1\nready\n"
    server.account.write(server.data / "postmaster.pid", lock)
    assert not server.alive()
    server.start(within=20)
    assert ask(server, "select 1") == 1
    assert stranger.poll() is None


def test_stopping_leaves_no_process(server):
    server.stop(10)
    left = [
        process.pid
        for process in psutil.process_iter(["cwd"])
        if process.info["cwd"] == str(server.data)
    ]
    assert left == []
    server.stop(10)


def test_a_lost_password_is_said_and_not_waited_for(server, home):
    (home.path / "secrets" / "postgres").write_text("another")
    with pytest.raises(PostgresFailed, match="password"):
        prepare(home).start()


def test_a_broken_cluster_is_said(server):
    server.stop(10)
    server.account.write(server.data / "PG_VERSION", "9\n")
    with pytest.raises(PostgresFailed, match="does not start"):
        server.start(within=1.0)


def test_an_interrupted_making_leaves_nothing_that_looks_like_a_cluster(home, monkeypatch):
    def killed(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("service.up.cluster._initdb", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(home)
    assert not home.pg.exists()
    assert not list(home.path.glob("pg*"))


def test_a_long_path_gets_a_short_socket(home):
    postgres = Postgres(home.path / ("x" * LONGEST_SOCKET_FOLDER), Path(), Account(), "p")
    assert len(str(postgres.sockets)) < LONGEST_SOCKET_FOLDER
    assert postgres.sockets == Postgres(postgres.data, Path(), Account(), "p").sockets


def test_a_server_with_a_long_path_starts(folder):
    home = Home(folder / ("long-" * 20))
    home.prepare()
    postgres = prepare(home)
    try:
        postgres.start()
        ensure_database(postgres)
        assert ask(postgres, "select 1") == 1
    finally:
        postgres.stop(10)
    postgres.sockets.rmdir()


def test_no_folder_that_is_not_ours_is_opened_to_the_servers_account(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = Home(closed / "home")
    home.prepare()
    postgres = prepare(home)
    try:
        postgres.start()
        ensure_database(postgres)
        assert ask(postgres, "select 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        # Only root has an account that cannot come in, and keeps the cluster outside.
        assert home.pg.is_symlink() == (os.geteuid() == 0)
    finally:
        postgres.stop(10)
        shutil.rmtree(postgres.data)


def test_programs_that_the_account_cannot_run_are_copied(folder, monkeypatch):
    packaged = programs(Account())
    closed = folder / "closed"
    closed.mkdir(mode=0o755)

    class Stranger(Account):
        def run(self, command, *, timeout=120):
            done = super().run(command, timeout=timeout)
            if Path(str(command[0])).is_relative_to(packaged.parents[1]):
                done.returncode = 126
            return done

    monkeypatch.setattr("service.up.binaries.ELSEWHERE", folder / "elsewhere")
    copied = programs(Stranger())
    assert copied.is_relative_to(folder / "elsewhere")
    assert Account().run([copied / "initdb", "--version"]).returncode == 0
    assert programs(Stranger()) == copied
