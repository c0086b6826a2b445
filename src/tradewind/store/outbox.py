"""What waits to be told to the outside, and the webhooks it goes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from tradewind.errors import NotFound
from tradewind.model.budget import Webhook
from tradewind.model.outbox import Message, MessageKind
from tradewind.model.people import AuditEntry
from tradewind.model.secret import Secret
from tradewind.store.access.audit import record
from tradewind.store.schema import outbox, webhooks
from tradewind.store.sql.transactions import Transactions


class Outbox:
    """What the store knows of messages. Every method is one short transaction."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def take(self, now: datetime, until: datetime, limit: int = 20) -> tuple[Message, ...]:
        """Take messages to deliver; who dies over it leaves them to others from ``until`` on."""
        return await self._transactions.write(_take, now, until, limit)

    async def delivered(self, message_id: str, now: datetime) -> None:
        """Write that it arrived."""
        await self._transactions.write(_finish, message_id, {"delivered_at": now, "wake_at": None, "error": None})

    async def failed(self, message_id: str, error: str, wake_at: datetime | None) -> None:
        """Write that it didn't arrive, and when to try again; None gives it up."""
        await self._transactions.write(_finish, message_id, {"error": error[:500], "wake_at": wake_at})

    async def webhooks(self, workspace: str) -> tuple[Webhook, ...]:
        """Return the webhooks of a workspace, the oldest first."""
        return await self._transactions.read(_webhooks, workspace)

    async def webhook(self, webhook_id: str) -> tuple[Webhook, Secret] | None:
        """Return a webhook with the key that signs what is posted to it; None where there is none any more."""
        return await self._transactions.read(_webhook, webhook_id)

    async def add_webhook(self, webhook: Webhook, signing_key: Secret, entry: AuditEntry) -> None:
        """Write a new webhook."""
        await self._transactions.write(_add_webhook, webhook, signing_key, entry)

    async def remove_webhook(self, workspace: str, webhook_id: str, entry: AuditEntry) -> None:
        """Remove one. Raises NotFound."""
        await self._transactions.write(_remove_webhook, workspace, webhook_id, entry)


def send(connection: Connection, messages: Sequence[Message]) -> None:
    """Write messages, in the transaction of what they tell of; one that is there already stays as it is."""
    for message in messages:
        if connection.execute(select(outbox.c.id).where(outbox.c.id == message.id)).first() is None:
            connection.execute(
                insert(outbox),
                {
                    "id": message.id,
                    "workspace": message.workspace,
                    "kind": message.kind.value,
                    "target": message.target,
                    "body": message.body,
                    "created_at": message.created_at,
                    "attempts": message.attempts,
                    "wake_at": message.created_at,
                    "error": None,
                    "delivered_at": None,
                },
            )


def _take(connection: Connection, now: datetime, until: datetime, limit: int) -> tuple[Message, ...]:
    statement = (
        select(outbox)
        .where(outbox.c.wake_at <= now)
        .order_by(outbox.c.wake_at)
        .limit(limit)
        # On PostgreSQL others take other rows meanwhile; SQLite has one writer at a time anyway.
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(statement).mappings().all()
    for row in found:
        connection.execute(
            update(outbox).where(outbox.c.id == row["id"]).values(wake_at=until, attempts=row["attempts"] + 1)
        )
    return tuple(map(_message_from, found))


def _finish(connection: Connection, message_id: str, values: dict[str, object]) -> None:
    connection.execute(update(outbox).where(outbox.c.id == message_id).values(values))


def _webhooks(connection: Connection, workspace: str) -> tuple[Webhook, ...]:
    statement = select(webhooks).where(webhooks.c.workspace == workspace).order_by(webhooks.c.created_at, webhooks.c.id)
    return tuple(map(_webhook_from, connection.execute(statement).mappings()))


def _webhook(connection: Connection, webhook_id: str) -> tuple[Webhook, Secret] | None:
    row = connection.execute(select(webhooks).where(webhooks.c.id == webhook_id)).mappings().first()
    return None if row is None else (_webhook_from(row), Secret(row["signing_key"]))


def _add_webhook(connection: Connection, webhook: Webhook, signing_key: Secret, entry: AuditEntry) -> None:
    connection.execute(
        insert(webhooks),
        {
            "id": webhook.id,
            "workspace": webhook.workspace,
            "url": webhook.url,
            "signing_key": signing_key.reveal(),
            "created_by": webhook.created_by,
            "created_at": webhook.created_at,
        },
    )
    record(connection, entry)


def _remove_webhook(connection: Connection, workspace: str, webhook_id: str, entry: AuditEntry) -> None:
    gone = connection.execute(delete(webhooks).where(webhooks.c.workspace == workspace, webhooks.c.id == webhook_id))
    if not gone.rowcount:
        raise NotFound(f"there is no webhook {webhook_id!r} in workspace {workspace!r}; list those that are there")
    record(connection, entry)


def _message_from(row: RowMapping) -> Message:
    return Message(
        id=row["id"],
        workspace=row["workspace"],
        kind=MessageKind(row["kind"]),
        target=row["target"],
        body=row["body"],
        created_at=row["created_at"],
        attempts=row["attempts"] + 1,
    )


def _webhook_from(row: RowMapping) -> Webhook:
    return Webhook(
        id=row["id"],
        workspace=row["workspace"],
        url=row["url"],
        created_by=row["created_by"],
        created_at=row["created_at"],
    )
