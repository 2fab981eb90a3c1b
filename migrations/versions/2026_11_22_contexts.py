"""contexts that are given with an ask"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_contexts"
down_revision = "0002_known_errors"
branch_labels = None
depends_on = None

TABLES = ("study_spec", "trial", "batch", "suggestion", "demand")


def upgrade() -> None:
    for table in TABLES:
        column = sa.Column("context", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
        op.add_column(table, column)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_column(table, "context")
