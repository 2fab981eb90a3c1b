"""What trials measured, how they stand at milestones, and what was decided there."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    SmallInteger,
    Table,
    Text,
    func,
)

from service.db.metadata import Timestamp, document, metadata

metric = Table(
    "metric",
    metadata,
    Column("trial_id", BigInteger, ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True),
    Column("metric_id", SmallInteger, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("attempt", SmallInteger, nullable=False),
    Column("value", Double, nullable=False),  # NaN and infinities as they came
    Column("elapsed", Double),  # seconds since the attempt began
    CheckConstraint("step >= 0", name="step"),
)

standing = Table(
    "standing",
    metadata,
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("bracket", SmallInteger, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),  # the trial's
    Column("attempt", SmallInteger, nullable=False),
    Column("loss", Double, nullable=False),  # lower is better; Infinity is not finite
)

decision = Table(
    "decision",
    metadata,
    Column("trial_id", BigInteger, ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", SmallInteger, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    document("detail"),  # {"reason", "until", "rank", "n", "loss", "threshold"}
    Column("at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
)
