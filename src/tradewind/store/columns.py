"""Column types that keep a value exactly, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator

Serial = BigInteger().with_variant(Integer, "sqlite")
"""A key the database counts up itself; SQLite counts only what is declared INTEGER."""


_UNKEPT = re.compile("[\0\ud800-\udfff]")


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware going in, kept as UTC, aware UTC coming out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return ``value`` as the database keeps it; a naive time is refused, because nobody can say when it was."""
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value.isoformat()} has no time zone; give an aware datetime, as datetime.now(UTC)")
        utc = value.astimezone(UTC)
        # SQLite has no zones: a zone would be cut off silently, and texts in two forms would not sort.
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment as aware UTC."""
        if value is None:
            return None
        if value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """What an infrastructure or a machine said: kept whatever is in it, since no round may fail for that.

    PostgreSQL keeps no NUL, and neither database a half of a surrogate pair, as in a path that is no UTF-8: they are
    replaced. What people gave stays :class:`~sqlalchemy.Text`, and they are told.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return ``value`` as any database can keep it."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return _UNKEPT.sub("\ufffd", value)


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal as text: SQLite would make a float of it, PostgreSQL would lose trailing zeros of a price."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Return ``value`` as text; what is no number is refused."""
        if value is None:
            return None
        if not value.is_finite():
            raise ValueError(f"{value} is no amount; where a price is not known, give None")
        return str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Return the decimal, digit by digit as it came."""
        return None if value is None else Decimal(value)
