"""expected gain: what ends a study that has little left to find"""

import sqlalchemy as sa
from alembic import op

revision = "0007_expected_gain"
down_revision = "0006_insights"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batch", sa.Column("seen", sa.Integer(), nullable=True))
    op.add_column("batch", sa.Column("expected_gain", sa.Double(), nullable=True))
    op.add_column("study", sa.Column("budget_gain", sa.Double(), nullable=True))
    op.add_column("study", sa.Column("budget_patience", sa.SmallInteger(), nullable=True))
    op.create_check_constraint(op.f("ck_study_budget_gain"), "study", "budget_gain >= 0")
    op.create_check_constraint(op.f("ck_study_budget_patience"), "study", "budget_patience > 0")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_study_budget_patience"), "study", type_="check")
    op.drop_constraint(op.f("ck_study_budget_gain"), "study", type_="check")
    op.drop_column("study", "budget_patience")
    op.drop_column("study", "budget_gain")
    op.drop_column("batch", "expected_gain")
    op.drop_column("batch", "seen")
