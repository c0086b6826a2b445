"""Money, and the price of an hour.

``None`` where a price could stand means *unpriced*: nobody said what it costs. It is never shown as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

SECONDS_PER_HOUR = Decimal(3600)
MICROSECONDS = Decimal(1_000_000)


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
        places = Decimal("0.01") if abs(self.amount) >= 1 else Decimal("0.000001")
        shown = self.amount.quantize(places)
        text = f"{shown:f}"
        if places != Decimal("0.01"):
            text = text.rstrip("0").rstrip(".") if shown else "<0.000001"
        return f"{text} {self.currency}"


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
        return "free" if self.is_free else f"{self.per_hour.normalize():f} {self.currency}/h"
