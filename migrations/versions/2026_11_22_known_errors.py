"""the standard errors of a trial's values"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_known_errors"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("errors", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    op.add_column("trial", column)


def downgrade() -> None:
    op.drop_column("trial", "errors")
