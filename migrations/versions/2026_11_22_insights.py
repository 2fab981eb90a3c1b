"""insights: explanations, and the best trial of a noisy objective"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_insights"
down_revision = "0005_fidelity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "insight",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("seen", sa.Integer(), nullable=True),
        sa.Column("body", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind in ('explanation', 'best')", name=op.f("ck_insight_kind")),
        sa.CheckConstraint(
            "(seen is null) = (computed_at is null)", name=op.f("ck_insight_computed")
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_insight_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "kind", "metric", name=op.f("pk_insight")),
    )


def downgrade() -> None:
    op.drop_table("insight")
