"""Whose browser's session a pasted token's is, and how often a cluster was taken in vain."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("tokens", sa.Column("session_of", sa.Text()))
    op.add_column("clusters", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("clusters", "tries")
    op.drop_column("tokens", "session_of")
