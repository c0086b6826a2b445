"""Which budgets hold for a cluster, when, and what was spent of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from tradewind.model.budget import Budget, BudgetScope, Period
from tradewind.model.cluster import Cluster
from tradewind.model.money import Money
from tradewind.model.usage import Usage
from tradewind.planning.meter import cost


def applies(budget: Budget, cluster: Cluster) -> bool:
    """Whether what ``cluster`` spends counts towards ``budget``."""
    if budget.workspace != cluster.spec.workspace or budget.removed_at is not None:
        return False
    match budget.scope:
        case BudgetScope.WORKSPACE:
            return True
        case BudgetScope.USER:
            return budget.key == cluster.owner
        case BudgetScope.CLUSTER:
            return budget.key == cluster.name
        case BudgetScope.TAG:
            tag, _, value = budget.key.partition("=")
            return cluster.spec.tags.get(tag) == value


def counts(budget: Budget, usage: Usage) -> bool:
    """Whether ``usage`` counts towards ``budget``: the question of :func:`applies`, asked of the bill."""
    if budget.workspace != usage.workspace:
        return False
    match budget.scope:
        case BudgetScope.WORKSPACE:
            return True
        case BudgetScope.USER:
            return budget.key == usage.owner
        case BudgetScope.CLUSTER:
            return budget.key == usage.cluster_name
        case BudgetScope.TAG:
            tag, _, value = budget.key.partition("=")
            return usage.tags.get(tag) == value


def period_at(budget: Budget, now: datetime) -> tuple[datetime, datetime]:
    """Return first moment of, and first moment after, the period that ``now`` is in; of a grant its only one.

    Months are those of the UTC calendar. ``now`` may lie outside of a grant: see :func:`is_open`.
    """
    if budget.period is Period.GRANT:
        assert budget.starts_at is not None, "the border lets no grant through without its dates"
        assert budget.ends_at is not None
        return budget.starts_at, budget.ends_at
    day = now.astimezone(UTC)
    start = datetime(day.year, day.month, 1, tzinfo=UTC)
    return start, datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)


def is_open(budget: Budget, now: datetime) -> bool:
    """Whether anything may be spent at ``now`` at all: not before a grant begins, nor after it ended."""
    starts_at, ends_at = period_at(budget, now)
    return starts_at <= now < ends_at


def spent(usages: Iterable[Usage], currency: str, now: datetime, since: datetime, until: datetime) -> Money:
    """Return what ``usages`` cost in ``currency`` from ``since`` to ``until``, up to ``now``."""
    money = cost(usages, now, since, until).money
    return next((one for one in money if one.currency == currency), Money(amount=Decimal(0), currency=currency))


def title(budget: Budget) -> str:
    """Return what to call it in a sentence: ``the budget of 50.00 USD a month for user 'ada'``."""
    whom = {
        BudgetScope.WORKSPACE: f"workspace {budget.workspace!r}",
        BudgetScope.USER: f"user {budget.key!r}",
        BudgetScope.TAG: f"tag {budget.key!r}",
        BudgetScope.CLUSTER: f"clusters named {budget.key!r}",
    }[budget.scope]
    if budget.period is Period.MONTH:
        return f"the budget of {budget.limit} a month for {whom}"
    return f"the grant of {budget.limit} for {whom}"
