"""What instances were started with and how newer software fares, who runs a named environment, who is at a door."""

import json
from typing import Literal

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
    _give_columns()
    # What a browser held that came in by another system's token once had a kind of its own, which nothing knows any
    # more: taken for a token, the text of that cookie would open what a browser's may not. Who held one signs in anew.
    # As of its beginning, which the database has in its own words for times.
    op.execute("UPDATE tokens SET revoked_at = created_at WHERE id LIKE 'lentsession-%' AND revoked_at IS NULL")


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("clusters") as table:
        table.drop_column("trials_failed")
        table.drop_column("trials_of")
        table.drop_column("environment_name")
    with op.batch_alter_table("environments") as table:
        table.drop_column("size")
    op.drop_column("tokens", "session_of")
    op.drop_column("clusters", "tries")
    op.drop_column("instances", "equipment")


def _give_columns() -> None:
    """Add columns to tables that others point at, and fill them for what lives."""
    connection = op.get_bind()
    # SQLite puts a new column behind the table's constraints: rebuilt, a table is as if it had been made so.
    recreate: Literal["always", "never"] = "always" if connection.dialect.name == "sqlite" else "never"
    with op.batch_alter_table("environments", recreate=recreate) as table:
        table.add_column(sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("clusters", recreate=recreate) as table:
        table.add_column(sa.Column("environment_name", sa.Text()))
        table.add_column(sa.Column("trials_of", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("trials_failed", sa.Integer(), nullable=False, server_default="0"))
    # They are JSON, which is ASCII nearly everywhere: as many bytes as characters.
    connection.execute(sa.text("UPDATE environments SET size = length(environments) WHERE deleted_at IS NULL"))
    # Only of those that still run, somebody asks.
    live = sa.text("SELECT id, environment FROM clusters WHERE status <> 'stopped' AND environment LIKE '%\"name\"%'")
    for cluster_id, text in connection.execute(live).all():
        if name := json.loads(text).get("name"):
            named = sa.text("UPDATE clusters SET environment_name = :name WHERE id = :id")
            connection.execute(named, {"name": name, "id": cluster_id})
