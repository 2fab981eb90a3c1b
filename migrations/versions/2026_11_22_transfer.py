"""what a study learned from earlier ones when it was made"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_transfer"
down_revision = "0003_contexts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study_earlier",
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column(
            "parameters", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column(
            "configs", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column(
            "losses", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.CheckConstraint("points > 0", name=op.f("ck_study_earlier_points")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_study_earlier_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "position", name=op.f("pk_study_earlier")),
    )


def downgrade() -> None:
    op.drop_table("study_earlier")
