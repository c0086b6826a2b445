"""What people ask of budgets and webhooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.engine.access.asker import Asker
from tradewind.engine.clock import Clock
from tradewind.engine.delivery.posting import check_url
from tradewind.errors import BadRequest
from tradewind.model.budget import (
    Budget,
    BudgetScope,
    BudgetState,
    BudgetView,
    Period,
    Reservation,
    Webhook,
)
from tradewind.model.exchange import MadeWebhook, NewBudget
from tradewind.model.money import Money
from tradewind.model.secret import Secret
from tradewind.model.usage import Usage
from tradewind.planning import limits, meter
from tradewind.planning.access import Action
from tradewind.planning.forecast import LOOKBACK, forecast
from tradewind.store.idempotency import Once
from tradewind.store.store import Store

MOST_PLACES = 12
"""Behind the point, or zeros before it: what reservations are reckoned to."""
LONGEST_KEY = 200
"""Characters: each title, each notice and each line of the log says it."""
NOTHING = Decimal(0)
MOST = 200
"""Budgets of a workspace: each round of each cluster looks at all of them."""


class Budgets:
    """Answers who is allowed to ask. Changes hold at the next round of each cluster, within seconds."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        asker: Asker,
        new_id: Callable[[str], str],
        new_token: Callable[[], str],
        private_addresses: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._asker = asker
        self._new_id = new_id
        self._new_token = new_token
        self._private_addresses = private_addresses

    async def budgets(self) -> Sequence[BudgetView]:
        """Return the budgets of the workspace, the oldest first."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        found = await self._store.money.budgets(self._asker.workspace)
        if not found:
            return []
        now = self._clock.now()
        # Once for all of them: a page asks for this list every few seconds.
        usages = await self._store.usages(workspace=self._asker.workspace, since=now - LOOKBACK, until=now)
        return [await self._standing(budget, usages) for budget in found]

    async def budget(self, budget_id: str) -> BudgetView:
        """Return one. Raises NotFound."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        return await self._standing(await self._store.money.budget(self._asker.workspace, budget_id))

    async def create_budget(
        self,
        limit: Money,
        *,
        scope: BudgetScope = BudgetScope.WORKSPACE,
        key: str = "",
        period: Period = Period.MONTH,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        is_hard: bool = True,
        once: Once | None = None,
    ) -> BudgetView:
        """Set a limit, asked for ``once``; what was spent in its period already counts.

        Raises
        ------
        BadRequest
            The limit, the key or the dates can't be used.
        NameTaken
            The same is limited already.
        Forbidden
            This caller may not.
        """
        self._asker.refuse_unless(Action.MANAGE_BUDGETS)
        now = self._clock.now()
        budget = Budget(
            id=self._new_id("budget"),
            workspace=self._asker.workspace,
            scope=scope,
            key=key,
            limit=limit,
            period=period,
            starts_at=starts_at,
            ends_at=ends_at,
            is_hard=is_hard,
            created_by=self._asker.caller.user,
            created_at=now,
        )
        # Not in _check: a budget that was made with a longer one can still be changed.
        if len(key) > LONGEST_KEY:
            raise BadRequest(
                f"the budget's key {key[:60]!r}… has {len(key)} characters, and the most are {LONGEST_KEY}; "
                f"name the {scope.value} in fewer"
            )
        _check(budget)
        others = await self._store.money.budgets(budget.workspace)
        if len(others) >= MOST:
            raise BadRequest(f"a workspace has at most {MOST} budgets; remove those that are of no use any more")
        entry = self._asker.audited("budget.created", budget.id, limits.title(budget))
        opening = await self._already_spent(budget)
        view = await self._new_view(budget, opening)
        await self._store.money.add(view, opening, entry, once)
        return view

    async def set_budget(self, wanted: NewBudget) -> BudgetView:
        """Set a limit, in place of the one that is there for the same. Raises as :meth:`create_budget`."""
        self._asker.refuse_unless(Action.MANAGE_BUDGETS)
        for other in await self._store.money.budgets(self._asker.workspace):
            if other.aim == wanted.aim:
                return await self.change_budget(other.id, limit=wanted.limit, is_hard=wanted.is_hard)
        return await self.create_budget(
            wanted.limit,
            scope=wanted.scope,
            key=wanted.key,
            period=wanted.period,
            starts_at=wanted.starts_at,
            ends_at=wanted.ends_at,
            is_hard=wanted.is_hard,
        )

    async def change_budget(
        self, budget_id: str, *, limit: Money | None = None, is_hard: bool | None = None
    ) -> BudgetView:
        """Raise or lower a limit, or make it hard or soft; running clusters feel it within seconds. Raises NotFound."""
        self._asker.refuse_unless(Action.MANAGE_BUDGETS)
        before = await self._store.money.budget(self._asker.workspace, budget_id)
        after = replace(
            before,
            limit=limit if limit is not None else before.limit,
            is_hard=is_hard if is_hard is not None else before.is_hard,
        )
        _check(after)
        if after.limit.currency != before.limit.currency:
            raise BadRequest(
                f"{limits.title(before)} is kept in {before.limit.currency}, and what was spent of it can't be "
                f"changed into {after.limit.currency}: remove it and set another"
            )
        detail = f"from {before.limit}, {_hardness(before)}, to {after.limit}, {_hardness(after)}"
        await self._store.money.change(after, self._asker.audited("budget.changed", after.id, detail))
        return await self._standing(after)

    async def remove_budget(self, budget_id: str) -> None:
        """Let a limit hold no longer. Raises NotFound."""
        self._asker.refuse_unless(Action.MANAGE_BUDGETS)
        budget = await self._store.money.budget(self._asker.workspace, budget_id)
        gone = replace(budget, removed_at=self._clock.now())
        await self._store.money.change(gone, self._asker.audited("budget.removed", gone.id, limits.title(gone)))

    async def webhooks(self) -> Sequence[Webhook]:
        """Return where notifications of the workspace are posted to."""
        self._asker.refuse_unless(Action.MANAGE_BUDGETS)
        return await self._store.outbox.webhooks(self._asker.workspace)

    async def add_webhook(self, url: str) -> MadeWebhook:
        """Have notifications posted to ``url``; the key that signs them is shown this once. Raises BadRequest."""
        self._asker.refuse_unless(Action.MANAGE_BUDGETS)
        check_url(url, private_addresses=self._private_addresses)
        now = self._clock.now()
        webhook = Webhook(
            id=self._new_id("hook"),
            workspace=self._asker.workspace,
            url=url,
            created_by=self._asker.caller.user,
            created_at=now,
        )
        key = Secret(self._new_token())
        # Its host alone: a path may be what keeps strangers out.
        entry = self._asker.audited("webhook.created", webhook.id, url.partition("//")[2].partition("/")[0])
        await self._store.outbox.add_webhook(webhook, key, entry)
        return MadeWebhook(webhook=webhook, signing_key=key.reveal())

    async def remove_webhook(self, webhook_id: str) -> None:
        """Post no more to it. Raises NotFound."""
        self._asker.refuse_unless(Action.MANAGE_BUDGETS)
        entry = self._asker.audited("webhook.removed", webhook_id, "")
        await self._store.outbox.remove_webhook(self._asker.workspace, webhook_id, entry)

    async def _standing(self, budget: Budget, recent: Sequence[Usage] | None = None) -> BudgetView:
        now = self._clock.now()
        account = await self._store.money.state(budget, now)
        if account is not None:
            # The limit as it was just written, should it have changed since the account was read.
            account = replace(account, budget=budget)
            state = account.state(now)
            reserved = max(NOTHING, account.account.committed.amount - state.spent.amount)
        else:
            state, reserved = _state(budget, NOTHING, NOTHING), NOTHING
        if recent is None:
            recent = await self._recent(budget, now)
        return _shown(budget, state, reserved, recent, now)

    async def _new_view(self, budget: Budget, opening: Sequence[Reservation]) -> BudgetView:
        """Return how a budget stands at the moment it is made: nothing is promised yet but what is spent."""
        spent = sum((one.spent.amount for one in opening), NOTHING)
        burn = sum((one.burn_per_hour.amount for one in opening), NOTHING)
        now = budget.created_at
        return _shown(budget, _state(budget, spent, burn), NOTHING, await self._recent(budget, now), now)

    async def _recent(self, budget: Budget, now: datetime) -> Sequence[Usage]:
        return await self._store.usages(workspace=budget.workspace, since=now - LOOKBACK, until=now)

    async def _already_spent(self, budget: Budget) -> tuple[Reservation, ...]:
        """Return what every cluster has spent in the period already, by the bill."""
        now, currency = budget.created_at, budget.limit.currency
        starts_at, ends_at = limits.period_at(budget, now)
        by_cluster: dict[str, list[Usage]] = {}
        for usage in await self._counted(budget, starts_at, ends_at):
            by_cluster.setdefault(usage.cluster_id, []).append(usage)
        opening = []
        for cluster_id, usages in by_cluster.items():
            spent = limits.spent(usages, currency, now, starts_at, ends_at)
            opening.append(
                Reservation(
                    budget_id=budget.id,
                    starts_at=starts_at,
                    cluster_id=cluster_id,
                    reserved=spent,
                    spent=spent,
                    burn_per_hour=meter.burn_per_hour(usages, now, currency),
                    at=now,
                )
            )
        return tuple(opening)

    async def _counted(self, budget: Budget, since: datetime, until: datetime) -> tuple[Usage, ...]:
        usages = await self._store.usages(workspace=budget.workspace, since=since, until=until)
        return tuple(usage for usage in usages if limits.counts(budget, usage))


def _state(budget: Budget, spent: Decimal, burn_per_hour: Decimal) -> BudgetState:
    currency = budget.limit.currency
    return BudgetState(
        limit=budget.limit,
        spent=Money(amount=spent, currency=currency),
        burn_per_hour=Money(amount=burn_per_hour, currency=currency),
    )


def _shown(budget: Budget, state: BudgetState, reserved: Decimal, recent: Sequence[Usage], now: datetime) -> BudgetView:
    starts_at, ends_at = limits.period_at(budget, now)
    usages = [usage for usage in recent if limits.counts(budget, usage)]
    return BudgetView(
        budget=budget,
        starts_at=starts_at,
        ends_at=ends_at,
        state=state,
        reserved=Money(amount=reserved, currency=budget.limit.currency),
        forecast=forecast(
            budget.limit, state.spent.amount, state.burn_per_hour.amount, usages, now, starts_at, ends_at
        ),
    )


def _check(budget: Budget) -> None:
    limit = budget.limit
    if not limit.amount.is_finite() or limit.amount < 0 or limit.amount >= Decimal("1E12"):
        raise BadRequest(f"{limit.amount} is no limit: give an amount from 0 up, as 50 USD")
    exponent = limit.amount.as_tuple().exponent
    if not isinstance(exponent, int) or not -MOST_PLACES <= exponent <= MOST_PLACES:
        raise BadRequest(f"{limit.amount!s:.40} has more places than money; write it as 50.00")
    if not limit.currency.isascii() or not 2 <= len(limit.currency) <= 8 or not limit.currency.isupper():
        raise BadRequest(f"{limit.currency!r} is no currency: give its code, as USD, EUR, or SU for service units")
    if budget.scope is BudgetScope.WORKSPACE and budget.key:
        raise BadRequest(f"a budget of the whole workspace has no key; {budget.key!r} would limit nothing")
    if budget.scope is not BudgetScope.WORKSPACE and not budget.key:
        raise BadRequest(f"say which {budget.scope.value} the budget is for")
    if budget.scope is BudgetScope.TAG and not all(budget.key.partition("=")):
        raise BadRequest(f"{budget.key!r} names no tag with its value: write it as project=enso")
    dates = (budget.starts_at, budget.ends_at)
    if budget.period is Period.MONTH:
        if any(dates):
            raise BadRequest("a month begins and ends by the calendar: leave out the dates, or make it a grant")
        return
    if budget.starts_at is None or budget.ends_at is None:
        raise BadRequest("a grant has a first day and an end: give both")
    if any(date is not None and date.utcoffset() is None for date in dates):
        raise BadRequest("the dates of a grant need a time zone: write them as 2026-11-01T00:00:00Z")
    if not timedelta(0) < budget.ends_at - budget.starts_at:
        raise BadRequest("a grant ends after it begins; these dates are the other way round")


def _hardness(budget: Budget) -> str:
    return "hard" if budget.is_hard else "soft"
