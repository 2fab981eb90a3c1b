"""Checkpoints, the log of what happened, the fleet's agents, and the database's own pulse."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

from service.db.metadata import Timestamp, created_at, document, identity, metadata

checkpoint = Table(
    "checkpoint",
    metadata,
    identity(),
    Column("trial_id", BigInteger, ForeignKey("trial.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("step", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    created_at(),
    Column("committed_at", Timestamp),
    UniqueConstraint("trial_id", "attempt", "step", "sha256"),
)

event = Table(
    "event",
    metadata,
    identity(),
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("trial_id", BigInteger, ForeignKey("trial.id", ondelete="CASCADE")),
    Column("at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    Column("kind", Text, nullable=False),
    document("detail"),
    Index("ix_event_study_id_id", "study_id", "id"),
    Index("ix_event_trial_id_id", "trial_id", "id", postgresql_where=text("trial_id is not null")),
)

agent = Table(
    "agent",
    metadata,
    identity(),
    Column("project_id", BigInteger, ForeignKey("project.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE")),
    Column("state", Text, nullable=False),  # starting, idle, running; or fleet, the controller
    document("resources"),
    document("recipes", nullable=True),  # of a fleet's own row: what it can run by name
    Column("seen_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    UniqueConstraint("project_id", "name"),
)

# One row, ticked every second by every replica: a gap in it means that we were down, and that
# workers could not renew their leases through no fault of their own.
liveness = Table(
    "liveness",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last_ok", Timestamp, nullable=False),
    Column("up_since", Timestamp, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
