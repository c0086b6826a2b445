"""How new software fares on a cluster that goes on with older one; an end to cookies that became tokens."""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and revoke."""
    # SQLite puts a new column behind the table's constraints: rebuilt, a table is as if it had been made so.
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    # With defaults in the database: until the last replica of before has ended, it writes rows as well.
    with op.batch_alter_table("clusters", recreate=recreate) as table:
        table.add_column(sa.Column("trials_of", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("trials_failed", sa.Integer(), nullable=False, server_default="0"))
    # What a browser held that came in by another system's token once had a kind of its own, which nothing knows any
    # more: taken for a token, the text of that cookie would open what a browser's may not. Who held one signs in anew.
    # As of its beginning, which the database has in its own words for times.
    op.execute("UPDATE tokens SET revoked_at = created_at WHERE id LIKE 'lentsession-%' AND revoked_at IS NULL")


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("clusters") as table:
        table.drop_column("trials_failed")
        table.drop_column("trials_of")
