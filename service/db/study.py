"""Studies: what they are, their spec by version, and the one hot row that counts their trials."""

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
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
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

STUDY_STATES = ("active", "paused", "stopped", "completed", "deleted")

study = Table(
    "study",
    metadata,
    identity(),
    public_id(),
    Column("project_id", BigInteger, ForeignKey("project.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),
    Column("state_reason", Text),  # why it was stopped, paused or completed
    Column("spec_version", SmallInteger, nullable=False, server_default="1"),
    Column("revision", Integer, nullable=False, server_default="1"),  # the ETag of PATCH
    Column("seed", BigInteger, nullable=False),
    Column("notes", Text, nullable=False, server_default=""),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("budget_trials", Integer),
    Column("budget_hours", Double),
    Column("budget_target", Double),  # of the first objective
    Column("budget_gain", Double),  # expected of the next trials; less ends the study
    Column("budget_patience", SmallInteger),  # after as many results that each left it so small
    Column("max_running", Integer),
    Column("max_attempts", SmallInteger, nullable=False, server_default="4"),
    Column("max_failed", Integer, nullable=False, server_default="10"),
    Column("lease_seconds", Double, nullable=False, server_default="60"),
    document("managed", nullable=True),
    # false while trials still have to follow the study's state: to be asked to stop, or deleted
    Column("settled", Boolean, nullable=False, server_default="true"),
    created_at(),
    Column("started_at", Timestamp),  # its first lease
    Column("finished_at", Timestamp),
    Column("deleted_at", Timestamp),
    Index(
        "uq_study_project_id_name",
        "project_id",
        "name",
        unique=True,
        postgresql_where=text("deleted_at is null"),
    ),
    Index("ix_study_unsettled", "id", postgresql_where=text("not settled")),
    Index(
        "ix_study_hours",
        "id",
        postgresql_where=text("state in ('active', 'paused') and budget_hours is not null"),
    ),
    CheckConstraint(f"state in {STUDY_STATES}", name="state"),
    CheckConstraint("(state = 'deleted') = (deleted_at is not null)", name="deleted"),
    CheckConstraint("budget_trials > 0", name="budget_trials"),
    CheckConstraint("budget_hours > 0", name="budget_hours"),
    CheckConstraint("budget_gain >= 0", name="budget_gain"),
    CheckConstraint("budget_patience > 0", name="budget_patience"),
    CheckConstraint("max_running > 0", name="max_running"),
    CheckConstraint("max_attempts > 0", name="max_attempts"),
    CheckConstraint("lease_seconds > 0", name="lease_seconds"),
)

study_spec = Table(
    "study_spec",
    metadata,
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("version", SmallInteger, primary_key=True),
    document("space"),
    document("objectives"),
    document("constraints"),
    document("context", nullable=True),  # parameters that are given with an ask, if there are any
    document("searcher"),
    document("scheduler"),
    created_at(),
)

# What was learned from earlier studies when this one was made: a copy, that outlives them.
study_earlier = Table(
    "study_earlier",
    metadata,
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("public_id", Text, nullable=False),  # of the earlier study
    Column("name", Text, nullable=False),  # as it was then
    Column("points", Integer, nullable=False),
    document("parameters"),
    document("configs"),
    document("losses"),
    CheckConstraint("points > 0", name="points"),
)

# Always locked last (trial -> lease -> study_counter).  version grows with every change of a trial.
study_counter = Table(
    "study_counter",
    metadata,
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("next_number", Integer, nullable=False, server_default="0"),
    Column("running", Integer, nullable=False, server_default="0"),
    Column("finished", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),  # part of finished
    Column("imported", Integer, nullable=False, server_default="0"),  # numbers outside the budget
    Column("version", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("running >= 0 and finished + running <= next_number", name="counts"),
    postgresql_with={"fillfactor": "50"},
)

metric_name = Table(
    "metric_name",
    metadata,
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
    Column("id", SmallInteger, primary_key=True),
    Column("name", Text, nullable=False),
    UniqueConstraint("study_id", "name"),
)
