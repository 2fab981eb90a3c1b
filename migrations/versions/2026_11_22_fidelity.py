"""how far a trial is planned to run"""

import sqlalchemy as sa
from alembic import op

revision = "0005_fidelity"
down_revision = "0004_transfer"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("suggestion", sa.Column("planned", sa.Integer(), nullable=True))
    op.add_column("trial", sa.Column("planned", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("trial", "planned")
    op.drop_column("suggestion", "planned")
