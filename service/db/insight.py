"""What was worked out about a study for people to read: a cache, which may be emptied at any time.

A release that changes what `body` holds empties the table in its migration.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    Table,
    Text,
    Uuid,
)

from service.db.metadata import Timestamp, document, metadata

insight = Table(
    "insight",
    metadata,
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    # finished trials that somebody wants seen; the best is wanted always
    Column("wanted", Integer, nullable=False, server_default="0"),
    Column("seen", Integer),  # finished trials that it has seen; null: not worked out yet
    document("body", nullable=True),
    Column("seconds", Double),  # that it took
    Column("computed_at", Timestamp),
    Column("lease_id", Uuid),  # of the suggester that works it out now
    Column("expires_at", Timestamp),
    CheckConstraint("kind in ('explanation', 'best')", name="kind"),
    CheckConstraint("(seen is null) = (computed_at is null)", name="computed"),
)
