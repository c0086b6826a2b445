"""Requests that may be sent twice and must be done once: what was answered the first time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import Connection, delete, select, update

from tradewind.store.database import insert_unless_there
from tradewind.store.schema import idempotency as table
from tradewind.store.transactions import Transactions

KEPT = timedelta(days=1)
"""How long an answer is remembered; whoever asks again later asks anew."""
PATIENCE = timedelta(minutes=1)
"""How long a request may be under way. One that takes longer died with its server, and may be sent again."""


class Begun(Enum):
    """What a request with a key is, if it isn't done."""

    FRESH = "do it, then call finish"
    UNDER_WAY = "the same request is being answered elsewhere"
    OTHER_REQUEST = "the key was used for another request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The same request was answered already."""

    status: int
    """Of HTTP."""
    body: str


class Idempotency:
    """Remembers answers by user and key, for a day."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def begin(self, user_id: str, key: str, request_hash: str, now: datetime) -> Begun | Done:
        """Say what to do with a request; of several at once with one key, one alone is told ``FRESH``.

        Parameters
        ----------
        user_id : str
            Who asks; keys of others are none of theirs.
        key : str
            As the client chose it.
        request_hash : str
            Of method, path and body.
        now : datetime
            The moment it was asked.
        """
        return await self._transactions.write(_begin, user_id, key, request_hash, now)

    async def finish(self, user_id: str, key: str, status: int, body: str) -> None:
        """Remember the answer; the first one stands."""
        await self._transactions.write(_finish, user_id, key, status, body)

    async def abandon(self, user_id: str, key: str) -> None:
        """Forget a request that failed by no fault of its own, so that it may be sent again at once."""
        await self._transactions.write(_abandon, user_id, key)


def _begin(connection: Connection, user_id: str, key: str, request_hash: str, now: datetime) -> Begun | Done:
    connection.execute(delete(table).where(table.c.created_at <= now - KEPT))
    values = {"user_id": user_id, "key": key, "request_hash": request_hash, "created_at": now}
    if insert_unless_there(connection, table, values):
        return Begun.FRESH
    ours = (table.c.user_id == user_id, table.c.key == key)
    row = connection.execute(select(table).where(*ours).with_for_update()).mappings().first()
    if row is None or row["request_hash"] != request_hash:
        # Gone: abandoned between the two statements. Whoever did so may send it again, and so may this one.
        return Begun.OTHER_REQUEST if row is not None else Begun.UNDER_WAY
    if row["status"] is not None:
        return Done(status=row["status"], body=row["body"])
    if row["created_at"] > now - PATIENCE:
        return Begun.UNDER_WAY
    connection.execute(update(table).where(*ours).values(created_at=now))
    return Begun.FRESH


def _finish(connection: Connection, user_id: str, key: str, status: int, body: str) -> None:
    unanswered = (table.c.user_id == user_id, table.c.key == key, table.c.status.is_(None))
    connection.execute(update(table).where(*unanswered).values(status=status, body=body))


def _abandon(connection: Connection, user_id: str, key: str) -> None:
    unanswered = (table.c.user_id == user_id, table.c.key == key, table.c.status.is_(None))
    connection.execute(delete(table).where(*unanswered))
