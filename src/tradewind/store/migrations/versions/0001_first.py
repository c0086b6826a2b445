"""Clusters, their secrets, instances, usages, events and computations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables. Types are spelled out: a migration must not change when the program does."""
    op.create_table(
        "clusters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("intent", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("stop_reason", sa.Text()),
        sa.Column("stop_detail", sa.Text(), nullable=False),
        sa.Column("scale_wanted", sa.Integer(), nullable=False),
        sa.Column("scale_surplus_since", sa.DateTime(timezone=True)),
        sa.Column("scale_surplus_peak", sa.Integer(), nullable=False),
        sa.Column("scheduler_address", sa.Text()),
        sa.Column("agent_address", sa.Text()),
        sa.Column("dashboard_address", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("stopping_at", sa.DateTime(timezone=True)),
        sa.Column("stopped_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("observed_at", sa.DateTime(timezone=True)),
        sa.Column("idle_warned_at", sa.DateTime(timezone=True)),
        sa.Column("budget_warned", sa.Integer(), nullable=False),
        sa.Column("page_failed_at", sa.DateTime(timezone=True)),
        sa.Column("failed_launches", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True)),
        sa.Column("environment_hash", sa.Text()),
        sa.Column("environment", sa.Text()),
        sa.Column("lease_holder", sa.Text()),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("wake_at", sa.DateTime(timezone=True)),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clusters"),
    )
    is_live = sa.text("status != 'stopped'")
    op.create_index("ix_clusters_wake_at", "clusters", ["wake_at"], sqlite_where=is_live, postgresql_where=is_live)
    op.create_index("ix_clusters_workspace_created_at", "clusters", ["workspace", "created_at"])
    op.create_index(
        "ux_clusters_live_name",
        "clusters",
        ["workspace", "name"],
        unique=True,
        sqlite_where=is_live,
        postgresql_where=is_live,
    )
    op.create_table(
        "computations",
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("record", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name="fk_computations_cluster_id"),
        sa.PrimaryKeyConstraint("cluster_id", "id", name="pk_computations"),
    )
    op.create_index("ix_computations_workspace_started_at", "computations", ["workspace", "started_at"])
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text()),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name="fk_events_cluster_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_cluster_id_seq", "events", ["cluster_id", "seq"])
    op.create_table(
        "instances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("offer", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("handle", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("running_at", sa.DateTime(timezone=True)),
        sa.Column("stopped_at", sa.DateTime(timezone=True)),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("end", sa.Text()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("unwanted_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name="fk_instances_cluster_id"),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
    )
    op.create_index("ix_instances_cluster_id", "instances", ["cluster_id"])
    op.create_table(
        "secrets",
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column("authority_certificate", sa.Text(), nullable=False),
        sa.Column("authority_key", sa.Text(), nullable=False),
        sa.Column("agent_token", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name="fk_secrets_cluster_id"),
        sa.PrimaryKeyConstraint("cluster_id", name="pk_secrets"),
    )
    op.create_table(
        "usages",
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("cluster_id", sa.Text(), nullable=False),
        sa.Column("cluster_name", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("region", sa.Text()),
        sa.Column("vm_type", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("cpus", sa.Float(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("disk", sa.BigInteger()),
        sa.Column("price_per_hour", sa.Text()),
        sa.Column("currency", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True)),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name="fk_usages_instance_id"),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"], name="fk_usages_cluster_id"),
        sa.PrimaryKeyConstraint("instance_id", "sequence", name="pk_usages"),
    )
    op.create_index("ix_usages_cluster_id", "usages", ["cluster_id"])
    op.create_index("ix_usages_workspace_started_at", "usages", ["workspace", "started_at"])


def downgrade() -> None:
    """Drop them all."""
    for table in ("computations", "events", "usages", "instances", "secrets", "clusters"):
        op.drop_table(table)
