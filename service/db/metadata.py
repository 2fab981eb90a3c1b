"""What every table shares: names of constraints, and the columns that recur."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Timestamp = DateTime(timezone=True)


def identity() -> Column[int]:
    """The private key of a table; what users see is a public id."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def public_id() -> Column[str]:
    """The unguessable name of a row in URLs."""
    return Column("public_id", Text, nullable=False, unique=True)


def created_at() -> Column[datetime]:
    """When the row was made, by the database's clock."""
    return Column("created_at", Timestamp, nullable=False, server_default=func.clock_timestamp())


def document(name: str, *, nullable: bool = False) -> Column[object]:
    """A JSON document; a missing one is SQL's NULL, never JSON's null."""
    return Column(name, JSONB(none_as_null=True), nullable=nullable)
