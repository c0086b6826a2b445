"""One look at an account: take → plan → tell, wind down, settle → keep."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from tradewind.engine.clock import Clock
from tradewind.errors import NotFound, TradewindError
from tradewind.model.budget import Budget
from tradewind.model.cluster import Intent
from tradewind.model.events import BUDGET_STEP, Event, Level
from tradewind.model.money import Money
from tradewind.model.outbox import Message, MessageKind
from tradewind.planning import limits
from tradewind.planning.accounts import AccountPlan, AccountState, plan_account
from tradewind.store.spending.money import AccountChanges, AccountKey
from tradewind.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)
"""How long one engine looks at an account alone; two would do no harm, only the same work."""


@dataclass(slots=True, kw_only=True)
class Accounts:
    """Everything a look needs, shared by all accounts of one engine."""

    store: Store
    clock: Clock
    holder: str
    mails: bool = False
    """Whether there is a mail server."""
    poke: Callable[[str], None] = field(default=lambda cluster_id: None)
    """Told the id of each cluster whose intent changed."""

    async def look_at_all(self) -> int:
        """Look at every account that is due; return how many that were."""
        due = await self.store.money.due(self.clock.now())
        return sum(await asyncio.gather(*(self._tried(key) for key in due)))

    async def look(self, key: AccountKey) -> bool:
        """Look at one account; False where somebody else does. Safe to be killed at any await."""
        now = self.clock.now()
        state = await self.store.money.take(key, self.holder, now, now + LEASE)
        if state is None:
            return False
        now = self.clock.now()
        decided = plan_account(state, now)
        for cluster_id, ends_by in decided.wind_down:
            await self._change(cluster_id, partial(_wound_down, state.budget, decided.why, ends_by))
        for cluster_id in decided.go_on:
            await self._change(cluster_id, partial(_let_go_on, state.budget))
        changes = AccountChanges(
            told=decided.told,
            at=now,
            settled=decided.settle,
            messages=await self._messages(state, decided, now),
            events=_events(state, decided, now),
            wake_at=decided.wake_at,
        )
        await self.store.money.keep(key, self.holder, changes)
        return True

    async def _tried(self, key: AccountKey) -> bool:
        try:
            return await self.look(key)
        except TradewindError as error:
            # Its lease runs out, and then it's due again.
            log.warning("the account of budget %s can't be looked at now: %s", key.budget_id, error)
            return False

    async def _change(self, cluster_id: str, change: Callable[[Intent], Intent]) -> None:
        try:
            await self.store.change_intent(cluster_id, change, now=self.clock.now())
        except NotFound:
            return
        self.poke(cluster_id)

    async def _messages(self, state: AccountState, decided: AccountPlan, now: datetime) -> tuple[Message, ...]:
        if decided.notice is None:
            return ()
        budget, stands = state.budget, state.state(now)
        targets = [(MessageKind.WEBHOOK, hook.id) for hook in await self.store.outbox.webhooks(budget.workspace)]
        if self.mails:
            targets += [(MessageKind.EMAIL, address) for address in await self.store.money.addresses(budget)]
        body = json.dumps(
            {
                "kind": BUDGET_STEP,
                "workspace": budget.workspace,
                "subject": f"{decided.told} % of {limits.title(budget)}",
                "text": decided.notice,
                "budget": {"id": budget.id, "scope": budget.scope.value, "key": budget.key, "is_hard": budget.is_hard},
                "step": decided.told,
                "limit": _money(stands.limit),
                "spent": _money(stands.spent),
                "burn_per_hour": _money(stands.burn_per_hour),
                "at": now.isoformat(),
            }
        )
        # The same id for the same news: a look that is done twice tells it once.
        news = f"{budget.id}/{state.account.starts_at:%Y%m%d}/{budget.limit.amount}/{decided.told}"
        return tuple(
            Message(
                id=f"{news}/{target}",
                workspace=budget.workspace,
                kind=kind,
                target=target,
                body=body,
                created_at=now,
            )
            for kind, target in targets
        )


def _wound_down(budget: Budget, why: str, ends_by: datetime, intent: Intent) -> Intent:
    if intent.ends_by is not None:
        return intent  # Another look said so before, or another budget.
    return replace(intent, ends_by=ends_by, ends_why=why, ends_for=budget.id)


def _let_go_on(budget: Budget, intent: Intent) -> Intent:
    if intent.ends_for not in {"", budget.id}:
        return intent  # Another budget has told it to end meanwhile.
    return replace(intent, ends_by=None, ends_why="", ends_for="")


def _events(state: AccountState, decided: AccountPlan, now: datetime) -> tuple[Event, ...]:
    if decided.notice is None:
        return ()
    return tuple(
        Event(
            at=now,
            cluster_id=holder.reservation.cluster_id,
            kind=BUDGET_STEP,
            message=decided.notice,
            level=Level.WARNING,
        )
        for holder in state.holders
        if holder.is_live
    )


def _money(money: Money) -> dict[str, str]:
    return {"amount": str(money.amount), "currency": money.currency}
