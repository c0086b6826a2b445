"""Hard limits that are used up again and again: who sets them, raises them once they bit, and judges them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from tests.chaos.bill import Bill, Stage, spent_by, stages
from tests.chaos.people import OWNER
from tests.chaos.run import Findings, Run
from tests.chaos.witness import Witness
from tradewind.model.budget import BudgetScope
from tradewind.model.exchange import BudgetChange, NewBudget
from tradewind.model.money import Money

PER_HOUR = Decimal("0.288")
"""Of a cluster of usual size: a scheduler and two workers of the smallest kind."""
MINUTES = 4
"""That a limit pays for, of as many clusters as are asked for under it. Less than two are of no use to a newcomer."""
LONGEST_MINUTES = 15
"""After this a limit that bit is raised, whatever is left of it: some of it nobody can use any more."""
DRY, DRY_AT_REST = 0.95, 0.85
"""A limit of which so much was spent is used up: what is left is of no use to anybody, or to no newcomer."""
SETTLED_S = 20.0
"""Within this after the end of all, accounts say what was spent."""
CENT = Decimal("0.000001")
"""By which an account and the ledger may differ, USD: less than a twentieth of a second of one instance."""

STOPPED = "SELECT stopping_at, stop_detail FROM clusters WHERE stop_reason = 'budget' AND stopping_at IS NOT NULL"
LIMITS = "SELECT at, amount::numeric FROM chaos_limits WHERE budget = %s ORDER BY seq"
OURS = {
    BudgetScope.USER: "SELECT id FROM clusters WHERE owner = %s",
    BudgetScope.TAG: "SELECT id FROM clusters WHERE spec::json->'tags'->>'project' = split_part(%s, '=', 2)",
}


class Ask(Protocol):
    """Asks any server; None where none does it."""

    async def __call__(self, dice: random.Random, who: str, method: str, path: str, body: object) -> Any: ...


class Treasurer:
    """Who owns the workspace, and minds its limits."""

    def __init__(self, run: Run, found: Findings, witness: Witness, ask: Ask) -> None:
        self._run = run
        self._found = found
        self._witness = witness
        self._ask = ask
        self._dice = random.Random(f"{run.seed} treasurer")
        self._limits: dict[str, tuple[NewBudget, str]] = {}
        """With whose spending each limits, by the budget's id."""

    async def set(self) -> None:
        """Set a limit of each kind, before anybody works."""
        for scope, key, of, share in (
            (BudgetScope.WORKSPACE, "", "workspace 'chaos'", "0.8"),
            (BudgetScope.USER, OWNER, f"user '{OWNER}'", "0.25"),
            (BudgetScope.TAG, "project=enso", "tag 'project=enso'", "0.4"),
        ):
            limit = NewBudget(limit=self._money(Decimal(share)), scope=scope, key=key)
            made = await self._ask(self._dice, OWNER, "POST", "/budgets", limit)
            if made is None:
                raise RuntimeError(f"no budget could be set: {self._found.answers}")
            self._limits[made["budget"]["id"]] = (limit, of)

    async def look_after(self) -> None:
        """Raise each limit a while after it bit and what it gave was spent, until cancelled."""
        while True:
            await asyncio.sleep(1)
            with suppress(Exception):  # the database may go down while it is asked
                bills = await self._witness.bills()
                for budget_id in self._limits:
                    await self._raise_if_dry(budget_id, bills)

    async def _raise_if_dry(self, budget_id: str, bills: Sequence[Bill]) -> None:
        wanted, _ = self._limits[budget_id]
        mine, now = await asyncio.to_thread(self._of, wanted, bills), datetime.now(UTC)
        stage = (await asyncio.to_thread(self._stages, budget_id, mine, now))[-1]
        burns = any(bill.ended >= now - timedelta(seconds=1) for bill in mine)
        is_used_up = stage.share >= (DRY if burns else DRY_AT_REST)
        is_old = now - stage.since > timedelta(seconds=LONGEST_MINUTES * self._run.minute_s)
        if not stage.has_bitten or not (is_used_up or is_old):
            return
        # For as long as it takes to see whether anybody goes on spending.
        await asyncio.sleep(self._dice.uniform(0.5, 2))
        share = Decimal(self._dice.uniform(0.7, 1.3)) * wanted.limit.amount
        limit = spent_by(mine, now) + share
        change = BudgetChange(limit=replace(wanted.limit, amount=limit.quantize(CENT)))
        await self._ask(self._dice, OWNER, "PATCH", f"/budgets/{budget_id}", change)

    async def judge(self) -> None:
        """Say what came of each limit; nothing may live any more."""
        bills, now = await self._witness.bills(), datetime.now(UTC)
        for budget_id, (wanted, of) in self._limits.items():
            mine = self._of(wanted, bills)
            self._found.stages += (found := self._stages(budget_id, mine, now))
            self._found.faults += [
                f"a hard limit was passed: {stage}" for stage in found if stage.overrun.rounds > 1 and stage.is_raised
            ]
            self._found.faults += await self._unsettled(budget_id, of, spent_by(mine, now))
        query = "SELECT count(*) FROM clusters WHERE stop_detail LIKE '%%set aside%%'"
        self._found.ended_alone = self._witness.rows(query)[0][0]
        if not any(stage.has_bitten for stage in self._found.stages):
            self._found.faults.append("no limit refused or stopped anything, so this says nothing of limits")

    async def _unsettled(self, budget_id: str, of: str, spent: Decimal) -> list[str]:
        """Return where an account holds another sum than was billed, once it had the time to settle."""
        query = "SELECT sum(committed::numeric) FROM accounts WHERE budget_id = %s"
        for _ in range(int(SETTLED_S)):
            committed = Decimal((await asyncio.to_thread(self._witness.rows, query, budget_id))[0][0] or 0)
            if abs(committed - spent) <= CENT:
                return []
            await asyncio.sleep(1)
        return [f"the account for {of} holds {committed}, and {spent:f} was billed"]

    def _stages(self, budget_id: str, mine: Sequence[Bill], now: datetime) -> list[Stage]:
        of = self._limits[budget_id][1]
        limits = _changes(self._witness.rows(LIMITS, budget_id))
        refused = [at for at, detail in self._found.refused.values() if f"for {of}" in detail]
        stopped = [at for at, detail in self._witness.rows(STOPPED) if f"for {of}" in detail]
        found = stages(of, mine, limits, now)
        spans = zip(limits, [*(at for at, _ in limits[1:]), now], strict=True)
        return [
            replace(stage, refused=_within(refused, since, until), stopped=_within(stopped, since, until))
            for stage, ((since, _), until) in zip(found, spans, strict=True)
        ]

    def _of(self, wanted: NewBudget, bills: Sequence[Bill]) -> list[Bill]:
        if wanted.scope is BudgetScope.WORKSPACE:
            return list(bills)
        ours = {row[0] for row in self._witness.rows(OURS[wanted.scope], wanted.key)}
        return [bill for bill in bills if bill.cluster in ours]

    def _money(self, share: Decimal) -> Money:
        hours = Decimal(self._run.minute_s * MINUTES) / 3600
        amount = PER_HOUR * self._run.clusters * hours * share
        return Money(amount=amount.quantize(CENT), currency="USD")


def _changes(limits: Sequence[tuple[datetime, Decimal]]) -> list[tuple[datetime, Decimal]]:
    """Leave out what was set again: a treasurer who got no answer asks another server for the same."""
    before = (None, *(amount for _, amount in limits))
    return [(at, amount) for (at, amount), old in zip(limits, before, strict=False) if amount != old]


def _within(moments: Sequence[datetime], since: datetime, until: datetime) -> int:
    return sum(since <= at < until for at in moments)
