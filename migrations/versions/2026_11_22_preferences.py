"""preferences: answers of people in place of a metric"""

import sqlalchemy as sa
from alembic import op

revision = "0008_preferences"
down_revision = "0007_expected_gain"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "preference",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("study_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("ranking", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("cardinality(ranking) >= 2", name=op.f("ck_preference_ranking")),
        sa.ForeignKeyConstraint(
            ["study_id"], ["study.id"], name=op.f("fk_preference_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preference")),
    )
    op.create_index("ix_preference_study_id_id", "preference", ["study_id", "id"], unique=False)
    # By preference a trial is completed without a value.
    op.drop_constraint(op.f("ck_trial_completed"), "trial", type_="check")


def downgrade() -> None:
    # The trials of studies by preference have no place in the older schema.
    op.execute("update trial set objective = 0 where state = 'completed' and objective is null")
    op.create_check_constraint(
        op.f("ck_trial_completed"), "trial", "state <> 'completed' or objective is not null"
    )
    op.drop_index("ix_preference_study_id_id", table_name="preference")
    op.drop_table("preference")
