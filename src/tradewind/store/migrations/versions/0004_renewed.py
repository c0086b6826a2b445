"""What instances were started with, what runs a named environment, who is at a door, and what is tried in vain."""

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
    _name_environments()


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("clusters") as table:
        table.drop_column("environment_name")
    with op.batch_alter_table("environments") as table:
        table.drop_column("size")
    op.drop_column("tokens", "session_of")
    op.drop_column("clusters", "tries")
    op.drop_column("instances", "equipment")


def _name_environments() -> None:
    """Give what runs a named environment, and the room one takes, columns of their own; fill them for what lives."""
    connection = op.get_bind()
    # SQLite puts a new column behind the table's constraints: rebuilt, a table is as if it had been made so.
    recreate: Literal["always", "never"] = "always" if connection.dialect.name == "sqlite" else "never"
    with op.batch_alter_table("environments", recreate=recreate) as table:
        table.add_column(sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("clusters", recreate=recreate) as table:
        table.add_column(sa.Column("environment_name", sa.Text()))
    # They are JSON, which is ASCII nearly everywhere: as many bytes as characters.
    connection.execute(sa.text("UPDATE environments SET size = length(environments) WHERE deleted_at IS NULL"))
    # Only of those that still run, somebody asks.
    live = sa.text("SELECT id, environment FROM clusters WHERE status <> 'stopped' AND environment LIKE '%\"name\"%'")
    for cluster_id, text in connection.execute(live).all():
        if name := json.loads(text).get("name"):
            named = sa.text("UPDATE clusters SET environment_name = :name WHERE id = :id")
            connection.execute(named, {"name": name, "id": cluster_id})
