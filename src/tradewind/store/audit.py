"""The log of every change that somebody made."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from tradewind.model.people import AuditEntry
from tradewind.store.schema import audit


def record(connection: Connection, entry: AuditEntry) -> None:
    """Write one entry, in the transaction of the change it tells of; the database numbers it."""
    connection.execute(
        insert(audit),
        {
            "at": entry.at,
            "workspace": entry.workspace,
            "user": entry.user,
            "action": entry.action,
            "subject": entry.subject,
            "detail": entry.detail,
            "request_id": entry.request_id,
        },
    )
