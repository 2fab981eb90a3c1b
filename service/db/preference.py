"""What people said of finished trials: rankings, from best to worst."""

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table

from service.db.metadata import created_at, identity, metadata

preference = Table(
    "preference",
    metadata,
    identity(),
    Column("study_id", BigInteger, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("version", BigInteger, nullable=False),  # study_counter.version that it made
    Column("ranking", ARRAY(Integer), nullable=False),  # numbers of trials, the best first
    created_at(),
    Index("ix_preference_study_id_id", "study_id", "id"),
    CheckConstraint("cardinality(ranking) >= 2", name="ranking"),
)
