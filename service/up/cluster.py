"""Making the embedded PostgreSQL's data, once."""

import shutil
import tempfile
from pathlib import Path

import psycopg

from service.up.account import Account, server_account
from service.up.binaries import elsewhere, programs
from service.up.home import Home
from service.up.postgres import DATABASE, Postgres, PostgresFailed

LOGIN = """\
# Nobody comes in without the password, over the unix socket only.
local all all scram-sha-256
"""


def prepare(home: Home) -> Postgres:
    """Make the cluster when there is none; a killed attempt leaves nothing that looks like one."""
    account = server_account()
    tools = programs(account)
    password = home.secret("postgres")
    if not (home.pg / "PG_VERSION").exists():
        _make(home, tools, account, password)
    return Postgres(home.pg.resolve(), tools, account, password)


def ensure_database(postgres: Postgres) -> None:
    """Make the database of the service in a running server, when there is none."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(f"create database {DATABASE}")


def _make(home: Home, tools: Path, account: Account, password: str) -> None:
    data = _new_folder(home, account)
    try:
        _initdb(data, tools, account, password)
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        raise
    if data.parent == home.path:
        data.rename(home.pg)
    else:
        home.pg.symlink_to(data)


def _new_folder(home: Home, account: Account) -> Path:
    """A new folder in the home, or outside when the server's account cannot reach the home."""
    if account.uid is not None:
        home.path.chmod(home.path.stat().st_mode | 0o011)
    reachable = account.reaches(home.path)
    data = Path(tempfile.mkdtemp(prefix="pg-", dir=home.path if reachable else elsewhere()))
    account.own(data)
    return data


def _initdb(data: Path, tools: Path, account: Account, password: str) -> None:
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write(password)
        secret.flush()
        account.own(Path(secret.name))
        who = ["-U", DATABASE, "--auth=scram-sha-256", "--pwfile", secret.name]
        kind = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = account.run([tools / "initdb", "-D", data, *who, *kind, "--no-locale"])
    if done.returncode != 0:
        raise PostgresFailed(f"PostgreSQL could not make its files: {done.stdout[-2000:].strip()}")
    account.write(data / "pg_hba.conf", LOGIN)
    # Kept: initdb has measured what this machine's shared memory allows.
    measured = (data / "postgresql.conf").read_text()
    account.write(data / "postgresql.conf", f"{measured}\ninclude_if_exists 'trimtab.conf'\n")
