"""The tables, as they are now. How they came about stands in ``migrations``; a test keeps both the same."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from tradewind.store.columns import ExactDecimal, Serial, UtcTime

IS_LIVE = text("status != 'stopped'")

metadata = MetaData(
    # Names are given by rule, so that a later migration can drop on PostgreSQL what it made.
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

clusters = Table(
    "clusters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # What people said: only create_cluster and change_intent write these two.
    Column("spec", Text, nullable=False),
    Column("intent", Text, nullable=False),
    # What the engine found and did: only save writes these.
    Column("status", Text, nullable=False),
    Column("stop_reason", Text),
    Column("stop_detail", Text, nullable=False),
    Column("scale_wanted", Integer, nullable=False),
    Column("scale_surplus_since", UtcTime),
    Column("scale_surplus_peak", Integer, nullable=False),
    Column("scheduler_address", Text),
    Column("agent_address", Text),
    Column("dashboard_address", Text),
    Column("started_at", UtcTime),
    Column("stopping_at", UtcTime),
    Column("stopped_at", UtcTime),
    Column("expires_at", UtcTime),
    Column("observed_at", UtcTime),
    Column("idle_warned_at", UtcTime),
    Column("budget_warned", Integer, nullable=False),
    Column("page_failed_at", UtcTime),
    Column("failed_launches", Integer, nullable=False),
    Column("retry_at", UtcTime),
    Column("environment_hash", Text),
    Column("environment", Text),
    # Who looks after it, and when it is to be looked at again.
    Column("lease_holder", Text),
    Column("lease_epoch", Integer, nullable=False),
    Column("lease_until", UtcTime),
    Column("wake_at", UtcTime),
    Column("revision", Integer, nullable=False),
    # A name belongs to one live cluster: the database says so, whoever races. Only the migrations say the same for
    # PostgreSQL: its name among these arguments would make each start-up import that dialect, which takes 60 ms.
    Index("ux_clusters_live_name", "workspace", "name", unique=True, sqlite_where=IS_LIVE),
    Index("ix_clusters_wake_at", "wake_at", sqlite_where=IS_LIVE),
    Index("ix_clusters_workspace_created_at", "workspace", "created_at"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("cluster_id", ForeignKey("clusters.id"), primary_key=True),
    Column("authority_certificate", Text, nullable=False),
    Column("authority_key", Text, nullable=False),
    Column("agent_token", Text, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("offer", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("handle", Text),
    Column("started_at", UtcTime),
    Column("running_at", UtcTime),
    Column("stopped_at", UtcTime),
    Column("exit_code", Integer),
    Column("end", Text),
    Column("detail", Text, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("unwanted_at", UtcTime),
)

usages = Table(
    "usages",
    metadata,
    Column("instance_id", ForeignKey("instances.id"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False, index=True),
    Column("cluster_name", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("region", Text),
    Column("vm_type", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("cpus", Float, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("disk", BigInteger),
    # Both None is unpriced; a price of "0" is free.
    Column("price_per_hour", ExactDecimal),
    Column("currency", Text),
    Column("started_at", UtcTime, nullable=False),
    Column("stopped_at", UtcTime),
    Column("tags", Text, nullable=False),
    PrimaryKeyConstraint("instance_id", "sequence"),
    Index(None, "workspace", "started_at"),
)

events = Table(
    "events",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("instance_id", Text),
    Index(None, "cluster_id", "seq"),
    sqlite_autoincrement=True,  # a number is never given twice, so "after seq" stays true when rows are deleted
)

computations = Table(
    "computations",
    metadata,
    # The id comes from where users run their own code: within its cluster it may say what it likes, not in others.
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False),
    Column("id", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("started_at", UtcTime),
    Column("record", Text, nullable=False),
    PrimaryKeyConstraint("cluster_id", "id"),
    Index(None, "workspace", "started_at"),
)
