"""batch budget: what a batch took the study's budget to be"""

import sqlalchemy as sa
from alembic import op

revision = "0009_batch_budget"
down_revision = "0008_preferences"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batch", sa.Column("budget", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("batch", "budget")
