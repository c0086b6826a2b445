"""What a pace of spending costs in a time, and how long money lasts at it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tradewind.model.offer import Offer

FOREVER = timedelta(days=36500)
"""Longer than anything lasts, and short enough to be added to a date."""
HOUR = Decimal(3600)


def rate(offer: Offer, currency: str) -> Decimal:
    """Return what an hour of one costs in ``currency``; 0 where it costs nothing in it."""
    price = offer.price
    return price.per_hour if price is not None and price.currency == currency else Decimal(0)


def cost_of(per_hour: Decimal, span: timedelta) -> Decimal:
    """Return what ``span`` costs, exact to the microsecond; a negative one costs nothing."""
    return max(Decimal(0), per_hour * (span // timedelta(microseconds=1)) / 1_000_000 / HOUR)


def lasts(amount: Decimal, per_hour: Decimal) -> timedelta:
    """Return how long ``amount`` lasts, at most :data:`FOREVER`; nothing lasts no time, also where nothing is spent."""
    if amount <= 0:
        return timedelta(0)
    if per_hour == 0:
        return FOREVER
    hours = amount / per_hour
    return FOREVER if hours > 800_000 else timedelta(seconds=float(hours * HOUR))
