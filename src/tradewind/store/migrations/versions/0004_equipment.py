"""What each instance was started with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what runs already nobody knows, which counts as older than whatever is wanted next."""
    # With a default in the database: until the last replica of before has ended, it writes rows as well.
    op.add_column("instances", sa.Column("equipment", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("instances", "equipment")
