"""Which named environment a cluster runs, and how much room each takes, in columns of their own."""

import json
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and fill them for what lives."""
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


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("clusters") as table:
        table.drop_column("environment_name")
    with op.batch_alter_table("environments") as table:
        table.drop_column("size")
