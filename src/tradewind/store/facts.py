"""What all replicas must agree on: whoever says it first, says it for all."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from tradewind.store.schema import facts
from tradewind.store.transactions import Transactions


class Facts:
    """Names and values that never change once they are written."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def agree(self, name: str, value: str) -> str:
        """Return what stands under ``name``: ``value``, if nothing did. Raises StoreError."""
        return await self._transactions.write(_agreed, name, value)


def _agreed(connection: Connection, name: str, value: str) -> str:
    known = select(facts.c.value).where(facts.c.name == name)
    try:
        with connection.begin_nested():
            connection.execute(insert(facts), {"name": name, "value": value})
    except IntegrityError:
        return str(connection.execute(known).scalar_one())
    return value
