"""Money, and the price of an hour.

``None`` where a price could stand means *unpriced*: nobody said what it costs. It is never shown as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

SECONDS_PER_HOUR = Decimal(3600)
MICROSECONDS = Decimal(1_000_000)
SMALLEST_SHOWN = Decimal("0.0001")
"""What is less is shown as less than this: nobody decides by a hundredth of a cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in one currency; adding two currencies is an error, not a guess."""

    amount: Decimal
    currency: str
    """ISO 4217 code, or "SU" for the service units of a computing centre."""

    def __add__(self, other: Money) -> Money:
        if self.currency != other.currency:
            raise ValueError(
                f"can't add {other.currency} to {self.currency}: exchange rates are not Tradewind's business"
            )
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __str__(self) -> str:
        if self.amount == 0:
            return f"0 {self.currency}"
        if abs(self.amount) < SMALLEST_SHOWN:
            return f"{'-' if self.amount < 0 else ''}<{SMALLEST_SHOWN:f} {self.currency}"
        return f"{_shown(self.amount, digits=2)} {self.currency}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one hour of one instance costs; 0 means free, and somebody said so."""

    per_hour: Decimal
    currency: str = "USD"

    @property
    def is_free(self) -> bool:
        """Whether an hour costs nothing."""
        return self.per_hour == 0

    def cost_of(self, duration: timedelta) -> Money:
        """Return what ``duration`` costs, exact to the microsecond; a negative duration costs nothing."""
        seconds = max(Decimal(0), Decimal(duration // timedelta(microseconds=1)) / MICROSECONDS)
        return Money(amount=self.per_hour * seconds / SECONDS_PER_HOUR, currency=self.currency)

    def __str__(self) -> str:
        return "free" if self.is_free else f"{_shown(self.per_hour, digits=4)} {self.currency}/h"


def _shown(amount: Decimal, *, digits: int) -> str:
    """Return ``amount`` with two places, or as many more as show ``digits`` significant ones."""
    places = max(2, digits - 1 - amount.adjusted())
    whole, _, fraction = f"{amount:.{places}f}".partition(".")
    return f"{whole}.{fraction[:2]}{fraction[2:].rstrip('0')}"
