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

from tradewind.store.columns import ExactDecimal, Serial, UtcTime, Words

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
    Column("stop_detail", Words, nullable=False),
    Column("scale_wanted", Integer, nullable=False),
    Column("scale_surplus_since", UtcTime),
    Column("scale_surplus_peak", Integer, nullable=False),
    Column("scheduler_address", Words),
    Column("agent_address", Words),
    Column("dashboard_address", Words),
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
    # How often it was taken since a round of it last went well: the more, the later it is due again.
    Column("tries", Integer, nullable=False, server_default="0"),
    # Of what ``environment`` holds: which named one it is, as climate@3.
    Column("environment_name", Text),
    # What the engine found, as above.
    Column("trials_of", Text, nullable=False, server_default=""),
    Column("trials_failed", Integer, nullable=False, server_default="0"),
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
    Column("handle", Words),
    Column("started_at", UtcTime),
    Column("running_at", UtcTime),
    Column("stopped_at", UtcTime),
    Column("exit_code", Integer),
    Column("end", Text),
    Column("detail", Words, nullable=False),
    Column("wanted", Boolean, nullable=False),
    Column("unwanted_at", UtcTime),
    Column("equipment", Text, nullable=False, server_default=""),
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
    Column("region", Words),
    Column("vm_type", Words, nullable=False),
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
    # What overlaps a range ended after its beginning or runs still; history before it isn't looked at.
    Index(None, "workspace", "stopped_at"),
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
    Column("message", Words, nullable=False),
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

# What a shared server keeps besides. Solo use has these tables too, and leaves all but the budgets' empty.

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("is_operator", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    Index("ux_users_name", "name", unique=True),
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    PrimaryKeyConstraint("issuer", "subject"),
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

members = Table(
    "members",
    metadata,
    Column("workspace", ForeignKey("workspaces.name"), nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("agreed_to_mentoring", Boolean, nullable=False),
    Column("joined_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("workspace", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    # sha256 of the link's secret, hex: who reads the database can't use it.
    Column("secret_hash", Text, nullable=False),
    Column("workspace", ForeignKey("workspaces.name"), nullable=False, index=True),
    Column("role", Text, nullable=False),
    Column("invited_by", Text, nullable=False),
    Column("email", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("used_by", Text),
    Index("ux_invitations_secret_hash", "secret_hash", unique=True),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    # sha256 of the token, hex. It has 256 random bits, so a slow hash would add nothing but time to each request.
    Column("secret_hash", Text, nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("workspace", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
    # Of a browser's session, the token that was pasted. Tokens are deleted long after their sessions, so it's no key.
    Column("session_of", Text),
    Index("ux_tokens_secret_hash", "secret_hash", unique=True),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("workspace", Text),
    Column("user", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("request_id", Text),
    Index(None, "workspace", "seq"),
    sqlite_autoincrement=True,
)

budgets = Table(
    "budgets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False, index=True),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("amount", ExactDecimal, nullable=False),
    Column("currency", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("starts_at", UtcTime),
    Column("ends_at", UtcTime),
    Column("is_hard", Boolean, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("removed_at", UtcTime),
)

accounts = Table(
    "accounts",
    metadata,
    Column("budget_id", ForeignKey("budgets.id"), nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("committed", ExactDecimal, nullable=False),
    Column("burn_per_hour", ExactDecimal, nullable=False),
    Column("currency", Text, nullable=False),
    Column("told", Integer, nullable=False),
    # When an engine should look at it again, and until when one of them is doing so.
    Column("wake_at", UtcTime),
    Column("lease_holder", Text),
    Column("lease_until", UtcTime),
    PrimaryKeyConstraint("budget_id", "starts_at"),
    Index(None, "wake_at"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("budget_id", Text, nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("cluster_id", ForeignKey("clusters.id"), nullable=False, index=True),
    Column("reserved", ExactDecimal, nullable=False),
    Column("spent", ExactDecimal, nullable=False),
    Column("burn_per_hour", ExactDecimal, nullable=False),
    Column("currency", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("use", Text, nullable=False),
    PrimaryKeyConstraint("budget_id", "starts_at", "cluster_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text),
    # "webhook" or "email", and where to.
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    # None once it was delivered or given up; then "error" tells which.
    Column("wake_at", UtcTime),
    Column("error", Words),
    Column("delivered_at", UtcTime),
    Index(None, "wake_at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workspace", Text, nullable=False, index=True),
    Column("url", Text, nullable=False),
    # Signs each delivery, so that the receiver knows it is ours; HMAC needs the key itself, a hash won't do.
    Column("signing_key", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    Column("workspace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
    # What a list tells of the packages; they themselves are some hundred kilobytes.
    Column("platforms", Text, nullable=False),
    Column("python", Text, nullable=False),
    Column("packages", Integer, nullable=False),
    Column("environments", Text, nullable=False),
    # The last one of a name stays behind, without packages: its number is never given again.
    Column("deleted_at", UtcTime),
    # Bytes of its packages: a workspace may have so many in all.
    Column("size", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("workspace", "name", "version"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("user_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    # Of method, path and body: the same key with another request is a mistake.
    Column("request_hash", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # None while the first request is under way.
    Column("status", Integer),
    Column("body", Text),
    PrimaryKeyConstraint("user_id", "key"),
    Index(None, "created_at"),
)

facts = Table(
    "facts",
    metadata,
    # What all replicas must agree on: the installation's id, the key that signs browser sessions, ….
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("written_at", UtcTime, nullable=False),
    # What its writer said, and what we metered of it.
    Column("said", Text, nullable=False),
    Column("proof", Text),
    Column("status", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", UtcTime),
    Column("reason", Text, nullable=False),
    Column("answer_by", Text),
    Column("answered_at", UtcTime),
    Column("answer", Text),
    # Of one person there is one review of a partner: a second one takes its place.
    Index(None, "partner", "user_id", unique=True),
    Index(None, "status", "written_at"),
)

speakers = Table(
    "speakers",
    metadata,
    Column("partner", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("appointed_by", Text, nullable=False),
    Column("appointed_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("partner", "user_id"),
)
