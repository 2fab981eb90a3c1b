"""What the suggester works on: batches, the suggestions they made, and who waits for one."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from service.db.metadata import Timestamp, created_at, document, metadata

batch = Table(
    "batch",
    metadata,
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("lease_id", Uuid, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    Column("attempt", SmallInteger, nullable=False, server_default="1"),
    Column("count", Integer, nullable=False),  # suggestions wanted
    Column("watermark", BigInteger),  # study_counter.version that it had read
    document("context", nullable=True),  # that it was asked for in
    Column("budget", Integer),  # trials that the study might have at that moment; NULL: no limit
    document("pending", nullable=True),  # configs it took as pending points
    document("memo", nullable=True),  # {"version": 1, "data": ...}
    Column("exhausted", Text),  # why the space is at its end, if it is
    Column("error", Text),  # why Sobol answered instead
    Column("seconds", Double),
    Column("seen", Integer),  # finished trials that it had read
    Column("expected_gain", Double),  # the largest of its suggestions, if a model made them
    created_at(),
    Column("finished_at", Timestamp),
    Index("uq_batch_running", "study_id", unique=True, postgresql_where=text("state = 'running'")),
    CheckConstraint("state in ('running', 'done')", name="state"),
    CheckConstraint("(state = 'done') = (finished_at is not null)", name="finished"),
)

suggestion = Table(
    "suggestion",
    metadata,
    Column("study_id", BigInteger, primary_key=True),
    Column("batch", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    document("config"),
    Column("config_hash", LargeBinary, nullable=False),
    document("origin"),
    Column("planned", Integer),  # the step up to which it is to run; NULL: a full run
    Column("seen", Integer, nullable=False),  # finished trials it had read
    created_at(),
    document("context", nullable=True),  # the only one that it serves
    ForeignKeyConstraint(
        ["study_id", "batch"], ["batch.study_id", "batch.number"], ondelete="CASCADE"
    ),
    UniqueConstraint("study_id", "config_hash"),
)

demand = Table(
    "demand",
    metadata,
    Column("lease_id", Uuid, primary_key=True),
    Column(
        "study_id",
        BigInteger,
        ForeignKey("study.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("expires_at", Timestamp, nullable=False),
    created_at(),
    document("context", nullable=True),  # that the ask gave
)
