"""Requests that may be sent twice and must be done once: what was answered the first time.

The answer is kept in the transaction that makes what it tells of, so there is never the one without the other, and
nothing says of a request that it is under way: who dies over it leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, or_, select

from tradewind import wire
from tradewind.errors import BadRequest, Unavailable
from tradewind.store.schema import idempotency as table
from tradewind.store.sql.database import insert_unless_there
from tradewind.store.sql.transactions import Transactions

KEPT = timedelta(days=1)
"""How long an answer is remembered; whoever asks again later asks anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """A request to make something, which may be sent again with the same key and then makes nothing."""

    user_id: str
    """Who asks; keys of others are none of theirs."""
    key: str
    """As the client chose it."""
    request_hash: str
    """Of method, path and body: the same key with another request is a mistake."""
    status: int
    """Of HTTP: of the answer once the thing is made."""
    at: datetime
    """The moment it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered the first time."""

    status: int
    """Of HTTP."""
    body: str


class Idempotency:
    """Remembers answers by user and key, for a day. Whoever makes something keeps its answer: :func:`keep`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def answer(self, once: Once) -> Answer | None:
        """Return what was answered before, None where nothing was. Raises BadRequest: the key was for another."""
        return await self._transactions.ask(_answer, once)

    async def forget(self, now: datetime) -> int:
        """Delete the answers that are remembered no longer; return how many."""
        return await self._transactions.write(_forget, now)


def keep(connection: Connection, once: Once | None, made: object) -> None:
    """Keep the answer to a request, in the transaction that makes the thing and before anything else in it.

    Of several transactions with one key the others wait here for the first. Without ``once`` nothing is kept.

    Raises
    ------
    Unavailable
        Another one was first: undo this one, and ask for its answer.
    """
    if once is None:
        return
    ours = and_(table.c.user_id == once.user_id, table.c.key == once.key)
    # One without a status was left by a server of before, which wrote first that it began.
    connection.execute(delete(table).where(ours, or_(table.c.created_at <= once.at - KEPT, table.c.status.is_(None))))
    values = {
        "user_id": once.user_id,
        "key": once.key,
        "request_hash": once.request_hash,
        "created_at": once.at,
        "status": once.status,
        "body": wire.dump_json(made),
    }
    if not insert_unless_there(connection, table, values):
        raise Unavailable("this key was used by another request at the same moment", retry_after=timedelta(seconds=1))


def _answer(connection: Connection, once: Once) -> Answer | None:
    statement = select(table.c.request_hash, table.c.status, table.c.body).where(
        table.c.user_id == once.user_id,
        table.c.key == once.key,
        table.c.created_at > once.at - KEPT,
        table.c.status.is_not(None),
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    if row.request_hash != once.request_hash:
        raise BadRequest("this Idempotency-Key was used for another request; take a new one for each thing you create")
    return Answer(status=row.status, body=row.body)


def _forget(connection: Connection, now: datetime) -> int:
    return connection.execute(delete(table).where(table.c.created_at <= now - KEPT)).rowcount
