"""Bring a database's schema up to date, safely and from any number of replicas at once."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from service.db.engine import sqlalchemy_url

# A migration that cannot get its lock fails after 5 s instead of queueing every query behind it.
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "60s"
# Nor does it wait for ever for another one that hangs.
TURN_TIMEOUT = "60s"
MIGRATION_LOCK = 0x7472696D  # "trim": one migration at a time, whoever starts it


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    config.attributes["connection"] = connection
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Upgrade the schema; a repeat changes nothing, and of two at once the second waits."""
    _migrate(database_url, lambda config: command.upgrade(config, revision))


def downgrade(database_url: str, revision: str) -> None:
    """Take the schema back to a revision ("base": none)."""
    _migrate(database_url, lambda config: command.downgrade(config, revision))


def head() -> str:
    """The revision that this code wants."""
    found = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert found is not None
    return found


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None when it was never migrated."""
    return MigrationContext.configure(connection).get_current_revision()


def _migrate(database_url: str, act: Callable[[Config], None]) -> None:
    engine = create_engine(sqlalchemy_url(database_url))
    try:
        with engine.begin() as connection:
            connection.execute(text(f"set local lock_timeout = '{TURN_TIMEOUT}'"))
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.execute(text(f"set local lock_timeout = '{LOCK_TIMEOUT}'"))
            connection.execute(text(f"set local statement_timeout = '{STATEMENT_TIMEOUT}'"))
            act(alembic_config(connection))
    finally:
        engine.dispose()
