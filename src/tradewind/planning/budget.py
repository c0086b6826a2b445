"""Whether a limit on spending lets something start, or be warned of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.model.budget import BudgetState
from tradewind.model.money import Money, Price
from tradewind.model.usage import Usage
from tradewind.planning.meter import burn_per_hour, cost

STEPS = (100, 80, 50)
"""Per cent of a limit at which its owner is told, highest first."""


def budget_state(limit: Money, usages: Iterable[Usage], now: datetime) -> BudgetState:
    """Return how ``limit`` stands. Only what has a price in its currency counts; ``may_start`` kept the rest out."""
    usages = tuple(usages)
    nothing = Money(amount=Decimal(0), currency=limit.currency)
    spent = next((money for money in cost(usages, now).money if money.currency == limit.currency), nothing)
    return BudgetState(limit=limit, spent=spent, burn_per_hour=burn_per_hour(usages, now, limit.currency))


def may_start(limit: Money, spent: Money, planned_per_hour: Money | None, minimum: timedelta) -> str | None:
    """Return why something must not start under ``limit``, as a sentence; None where it may.

    Parameters
    ----------
    limit : Money
        What may be spent in all.
    spent : Money
        What was spent already, or is promised.
    planned_per_hour : Money or None
        What an hour of all that would be launched costs; None where any of it is unpriced.
    minimum : timedelta
        The shortest time that is of any use.
    """
    if planned_per_hour is None:
        return (
            f"a budget of {limit} can't be held on instances without a price: "
            "set the provider's price, or leave out the budget"
        )
    if planned_per_hour.amount == 0:
        return None
    for money in (planned_per_hour, spent):
        if money.currency != limit.currency and money.amount != 0:
            return (
                f"the budget is in {limit.currency} and the price in {money.currency}, and exchange rates are not "
                f"Tradewind's business: give the budget in {money.currency}"
            )
    left = limit.amount - spent.amount
    if left <= 0:
        return f"nothing is left of the budget of {limit}: raise it, or run on something free"
    needed = _cost_of(planned_per_hour, minimum)
    if needed.amount <= left:
        return None
    rest = "" if spent.amount == 0 else f", of which {Money(amount=left, currency=limit.currency)} is left,"
    return (
        f"a budget of {limit}{rest} doesn't pay for {_spoken(minimum)} of this: it costs {planned_per_hour} per hour, "
        f"so that needs {needed}; ask for fewer or smaller workers, or raise the budget"
    )


def step(state: BudgetState) -> int:
    """Return the highest of 0, 50, 80 and 100 per cent that is spent; 0 as long as nothing is."""
    if state.spent.amount == 0:
        return 0
    return next((one for one in STEPS if state.spent.amount * 100 >= state.limit.amount * one), 0)


def _cost_of(per_hour: Money, duration: timedelta) -> Money:
    return Price(per_hour=per_hour.amount, currency=per_hour.currency).cost_of(duration)


def _spoken(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    for size, word in ((3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{seconds / size:g} {word}{'' if seconds == size else 's'}"
    return f"{seconds:g} s"
