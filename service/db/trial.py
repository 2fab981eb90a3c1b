"""Trials, the attempts made at them, and the lease that says who runs one."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from service.db.metadata import (
    Timestamp,
    created_at,
    document,
    identity,
    metadata,
    public_id,
)

FINAL_STATES = ("completed", "stopped", "infeasible", "failed", "cancelled")
TRIAL_STATES = ("queued", "running", *FINAL_STATES)

trial = Table(
    "trial",
    metadata,
    identity(),
    public_id(),
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("spec_version", SmallInteger, nullable=False, server_default="1"),
    Column("state", Text, nullable=False),
    document("config"),
    Column("config_hash", LargeBinary, nullable=False),
    Column("replicate", Boolean, nullable=False, server_default="false"),  # may repeat a config
    document("origin"),
    Column("parent_id", BigInteger, ForeignKey("trial.id", ondelete="SET NULL")),
    Column("retry_of", BigInteger, ForeignKey("trial.id", ondelete="SET NULL")),
    Column("batch", Integer),
    Column("planned", Integer),  # the step up to which it is to run; NULL: a full run
    Column("attempt", SmallInteger, nullable=False, server_default="0"),
    Column("lost", SmallInteger, nullable=False, server_default="0"),  # attempts that ended lost
    Column("priority", SmallInteger, nullable=False, server_default="0"),
    Column("available_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    Column("last_lease_id", Uuid),
    Column("told_by", Uuid),  # the lease whose tell ended it
    Column("tell_hash", LargeBinary),
    document("values", nullable=True),  # metric -> value, finite ones and "NaN", "Infinity", ...
    document("errors", nullable=True),  # metric -> the standard error of its value, where known
    document("gradients", nullable=True),  # parameter -> derivative of the objective, where told
    document("context", nullable=True),  # what was given with the ask, where the study has any
    # the first objective's value, finite, for sorting and best; by preference there is none
    Column("objective", Double),
    Column(
        "reason", Text
    ),  # user_error, oom, timeout, lost, poison, non_finite, or a person's words
    Column("message", Text),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    document("attributes", nullable=True),
    Column("notes", Text, nullable=False, server_default=""),
    Column("checkpoint_id", BigInteger),  # the committed one to go on from
    Column("changed_version", BigInteger, nullable=False),
    created_at(),
    Column("started_at", Timestamp),
    Column("finished_at", Timestamp),
    UniqueConstraint("study_id", "number"),
    Index(
        "ix_trial_queued",
        "study_id",
        text("priority desc"),
        "available_at",
        "number",
        postgresql_where=text("state = 'queued'"),
    ),
    Index(
        "uq_trial_study_id_config_hash",
        "study_id",
        "config_hash",
        unique=True,
        postgresql_where=text("not replicate"),
    ),
    Index("ix_trial_study_id_changed_version", "study_id", "changed_version"),
    Index(
        "ix_trial_best",
        "study_id",
        "objective",
        "number",
        postgresql_where=text("state = 'completed'"),
    ),
    # Without these, every deleted trial would be looked for in the whole table.
    Index("ix_trial_parent_id", "parent_id", postgresql_where=text("parent_id is not null")),
    Index("ix_trial_retry_of", "retry_of", postgresql_where=text("retry_of is not null")),
    CheckConstraint(f"state in {TRIAL_STATES}", name="state"),
    CheckConstraint(f"(state in {FINAL_STATES}) = (finished_at is not null)", name="finished"),
    CheckConstraint("objective > '-Infinity' and objective < 'Infinity'", name="objective"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("trial_id", BigInteger, ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("lease_id", Uuid, nullable=False, unique=True),  # kept, so that none is used twice
    Column("worker", Text, nullable=False),
    Column("started_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    Column("ended_at", Timestamp),
    Column("end_reason", Text),  # told, released, lost, cancelled
    Column("exit", Text),  # how its process ended, where one did
    Column("log_tail", Text),
)

# The fence.  Narrow, and no index on a column that a renewal changes, so that renewals stay HOT.
lease = Table(
    "lease",
    metadata,
    Column("trial_id", BigInteger, ForeignKey("trial.id", ondelete="CASCADE"), primary_key=True),
    Column("lease_id", Uuid, nullable=False, unique=True),
    Column("attempt", SmallInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("expires_at", Timestamp, nullable=False),
    Column("last_step", Integer),
    Column("until", Integer),  # the next milestone; NULL: none
    Column("request", Text),  # stop, release: delivered with any answer
    Column("request_reason", Text),
    CheckConstraint("request in ('stop', 'release')", name="request"),
    postgresql_with={"fillfactor": "50"},
)
