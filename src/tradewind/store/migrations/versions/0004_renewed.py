"""What instances were started with, what runs a named environment, who is at a door, and what is tried in vain."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    # With defaults in the database: until the last replica of before has ended, it writes rows as well.
    # Of what runs already nobody knows what it was started with: that counts as older than whatever is wanted next.
    op.add_column("instances", sa.Column("equipment", sa.Text(), nullable=False, server_default=""))
    op.add_column("clusters", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tokens", sa.Column("session_of", sa.Text()))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("tokens", "session_of")
    op.drop_column("clusters", "tries")
    op.drop_column("instances", "equipment")
