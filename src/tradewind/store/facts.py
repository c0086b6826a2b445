"""What all replicas of a server must agree on: the installation's id, the key that signs browser sessions, …."""

from __future__ import annotations

from sqlalchemy import Connection, select

from tradewind.store.schema import facts
from tradewind.store.sql.database import insert_unless_there
from tradewind.store.sql.transactions import Transactions


class Facts:
    """Names and values that are decided once, by whoever comes first."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def known(self, name: str) -> str | None:
        """Return what stands under ``name``; None where nothing does."""
        return await self._transactions.ask(_find, name)

    async def agree(self, name: str, value: str) -> str:
        """Return what stands under ``name``: ``value`` where nothing did, and what was there first otherwise."""
        found = await self._transactions.ask(_find, name)
        return found if found is not None else await self._transactions.write(_agree, name, value)


def _find(connection: Connection, name: str) -> str | None:
    found: str | None = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()
    return found


def _agree(connection: Connection, name: str, value: str) -> str:
    insert_unless_there(connection, facts, {"name": name, "value": value})
    stands: str = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar_one()
    return stands
