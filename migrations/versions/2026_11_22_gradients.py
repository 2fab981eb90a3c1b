"""derivatives of the objective that are told with a trial"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010_gradients"
down_revision = "0009_batch_budget"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("gradients", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    op.add_column("trial", column)


def downgrade() -> None:
    op.drop_column("trial", "gradients")
