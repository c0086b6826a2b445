"""What a budget will have spent when its period ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.model.budget import Forecast
from tradewind.model.money import Money
from tradewind.model.usage import Usage
from tradewind.planning.limits import spent

LOOKBACK = timedelta(days=7)
"""A week holds working days and a weekend, in the proportion that the rest of the period will."""
SHORTEST = timedelta(hours=1)
"""A pace isn't measured over less: a period's first minutes would be multiplied by a thousand."""


def forecast(
    limit: Money,
    spent_now: Decimal,
    burn_per_hour: Decimal,
    usages: Sequence[Usage],
    now: datetime,
    starts_at: datetime,
    ends_at: datetime,
) -> Forecast:
    """Return what will have been spent at the end of the period.

    Method: what was spent up to now, plus the pace of the last seven days (of all usages that count, from before the
    period too) for the time that is left. What runs now counts with the pace that it had: a cluster that has
    run for a minute of the last week hardly changes it. The moment the limit is reached is the earlier of two: at
    that pace, and at the present burn if all that runs now went on; the second only where it's less than a day away,
    since hardly any cluster lives longer.

    Parameters
    ----------
    limit : Money
        Of the period.
    spent_now : Decimal
        In its currency.
    burn_per_hour : Decimal
        At the present size.
    usages : sequence of Usage
        Those that count towards the budget and overlap the last seven days.
    now : datetime
        Aware UTC.
    starts_at, ends_at : datetime
        The period.
    """
    nothing = Money(amount=spent_now, currency=limit.currency)
    if not starts_at <= now < ends_at:
        return Forecast(at_period_end=nothing, exhausted_at=None)
    first = min((usage.started_at for usage in usages), default=now)
    since = max(now - LOOKBACK, first)
    span = max(SHORTEST, now - since)
    recent = spent(usages, limit.currency, now, since, now).amount
    hours = Decimal(span / timedelta(hours=1))
    pace = recent / hours
    left_hours = Decimal((ends_at - now) / timedelta(hours=1))
    at_end = spent_now + pace * left_hours
    moments = []
    for per_hour, horizon in ((pace, ends_at - now), (burn_per_hour, min(timedelta(days=1), ends_at - now))):
        if per_hour > 0:
            lasts = max(Decimal(0), limit.amount - spent_now) / per_hour
            if lasts <= Decimal(horizon / timedelta(hours=1)):
                moments.append(now + timedelta(hours=float(lasts)))
    return Forecast(
        at_period_end=Money(amount=at_end.quantize(Decimal("1E-6")), currency=limit.currency),
        exhausted_at=min(moments, default=None),
    )
