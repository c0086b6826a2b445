"""Who changed what, written in the transaction of the change. Each function runs inside a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, select

from tradewind.model.people import AuditEntry
from tradewind.store.schema import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Whose hand a change is, and when it is made."""

    user: str
    """Name of a user, or ``tradewind``."""
    at: datetime
    request_id: str | None = None

    def did(self, action: str, subject: str, detail: str = "", *, workspace: str | None = None) -> AuditEntry:
        """Return the entry that says so; see :class:`~tradewind.model.people.AuditEntry` for the words."""
        return AuditEntry(
            seq=0,
            at=self.at,
            workspace=workspace,
            user=self.user,
            action=action,
            subject=subject,
            detail=detail,
            request_id=self.request_id,
        )


def record(connection: Connection, entry: AuditEntry) -> None:
    """Write ``entry`` down; the database gives it its number."""
    connection.execute(
        insert(audit).values(
            at=entry.at,
            workspace=entry.workspace,
            user=entry.user,
            action=entry.action,
            subject=entry.subject,
            detail=entry.detail,
            request_id=entry.request_id,
        )
    )


def entries(
    connection: Connection, workspace: str | None, before: int | None = None, limit: int = 100
) -> tuple[AuditEntry, ...]:
    """Return the entries of a workspace (None: of the server as a whole), newest first, before number ``before``."""
    statement = select(audit).where(audit.c.workspace == workspace).order_by(audit.c.seq.desc()).limit(limit)
    if before is not None:
        statement = statement.where(audit.c.seq < before)
    return tuple(map(entry_from, connection.execute(statement).mappings()))


def entry_from(row: RowMapping) -> AuditEntry:
    return AuditEntry(
        seq=row["seq"],
        at=row["at"],
        workspace=row["workspace"],
        user=row["user"],
        action=row["action"],
        subject=row["subject"],
        detail=row["detail"],
        request_id=row["request_id"],
    )
