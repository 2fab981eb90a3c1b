"""Projects, the keys that open them, and answers kept for repeated requests."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)

from service.db.metadata import Timestamp, created_at, document, identity, metadata, public_id

project = Table(
    "project", metadata, identity(), Column("name", Text, nullable=False, unique=True), created_at()
)

api_key = Table(
    "api_key",
    metadata,
    identity(),
    Column("project_id", BigInteger, ForeignKey("project.id"), nullable=False, index=True),
    public_id(),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    created_at(),
    Column("expires_at", Timestamp),
    Column("revoked_at", Timestamp),
    Column("last_used_at", Timestamp),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("project_id", BigInteger, ForeignKey("project.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    document("body"),
    created_at(),
    Index("ix_idempotency_created_at", "created_at"),
)
