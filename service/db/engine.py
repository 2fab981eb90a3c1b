"""Connections: a psycopg pool for the hot calls, an SQLAlchemy engine for everything else.

Two pools, so that lists and charts can never keep a worker from renewing its lease.
"""

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.settings import Settings

HotPool = AsyncConnectionPool[AsyncConnection[TupleRow]]


def sqlalchemy_url(database_url: str) -> URL:
    """The URL with psycopg as its driver, whatever driver it named."""
    return make_url(database_url).set(drivername="postgresql+psycopg")


def libpq_url(database_url: str) -> str:
    """The URL as libpq reads it."""
    url = make_url(database_url).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def _session_options(settings: Settings) -> str:
    return (
        f"-c statement_timeout={int(settings.statement_timeout * 1000)} "
        f"-c lock_timeout={int(settings.lock_timeout * 1000)} "
        "-c idle_in_transaction_session_timeout=15000 -c timezone=UTC"
    )


def make_engine(settings: Settings) -> AsyncEngine:
    """The engine of lists, studies and keys; READ COMMITTED, parameters never logged."""
    return create_async_engine(
        sqlalchemy_url(settings.database_url.get_secret_value()),
        pool_size=settings.cold_pool,
        max_overflow=0,
        pool_timeout=settings.pool_timeout,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"options": _session_options(settings), "connect_timeout": 5},
    )


def make_hot_pool(settings: Settings) -> HotPool:
    """The pool of the hot calls; opened by the caller."""
    conninfo = make_conninfo(
        libpq_url(settings.database_url.get_secret_value()),
        options=_session_options(settings),
        connect_timeout=5,
        application_name="trimtab-hot",
    )
    return AsyncConnectionPool(
        conninfo,
        min_size=min(2, settings.hot_pool),
        max_size=settings.hot_pool,
        timeout=settings.pool_timeout,
        kwargs={"autocommit": True},
        open=False,
    )
