"""How many clusters a second can be created under one hard budget, on PostgreSQL, by several servers at once.

Beside it the same under as many budgets as there are clusters, for which nobody waits: the difference is what waiting
for one account costs, and the rest what its statements do.

Run it with ``python -m benchmarks.budget_contention`` from the top of the repository; it needs PostgreSQL's programs.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.engine.stage import authority
from tests.postgres import running

from tradewind.model.budget import Budget, BudgetScope, Reservation
from tradewind.model.cluster import Cluster, ClusterSpec, Intent, ScaleMemory, Scaling
from tradewind.model.money import Money
from tradewind.model.people import AuditEntry
from tradewind.model.secret import Secret
from tradewind.planning.limits import period_at
from tradewind.store.records import ClusterSecrets
from tradewind.store.store import Store

SERVERS = 3
AT_ONCE = 8
CLUSTERS = 600


def usd(amount: str) -> Money:
    """Return so many dollars."""
    return Money(amount=Decimal(amount), currency="USD")


async def measure(url: str, budgets: int) -> tuple[float, float]:
    """Return creates per second under so many budgets, and the milliseconds that 99 of 100 took at most."""
    stores = [await Store.open(url) for _ in range(SERVERS)]
    now = datetime.now(UTC)
    workspace = f"lab-{budgets}"
    budget = Budget(
        id="b",
        workspace=workspace,
        scope=BudgetScope.USER,
        limit=usd("1000000"),
        created_by="ada",
        created_at=now,
    )
    entry = AuditEntry(seq=0, at=now, workspace=workspace, user="ada", action="budget.created", subject=budget.id)
    for number in range(budgets):
        one_of_them = replace(budget, id=f"{workspace}-b{number}", key=f"user-{number}")
        await stores[0].money.add(one_of_them, (), entry)
    keys = authority()
    scaling = Scaling.fixed(2)
    took: list[float] = []
    places = asyncio.Semaphore(SERVERS * AT_ONCE)

    async def one(number: int) -> None:
        spec = ClusterSpec(name=f"c{number}", workspace=workspace, provider="fake", scaling=scaling)
        cluster = Cluster(
            id=f"{workspace}-{number}",
            spec=spec,
            intent=Intent(scaling=scaling),
            owner="ada",
            created_at=now + timedelta(milliseconds=number),
            scale=ScaleMemory(wanted=2),
        )
        secrets = ClusterSecrets(
            authority_certificate=keys.certificate, authority_key=keys.key, agent_token=Secret("token")
        )
        opening = (
            Reservation(
                budget_id=f"{workspace}-b{number % max(1, budgets)}",
                starts_at=period_at(budget, now)[0],
                cluster_id=cluster.id,
                reserved=usd("0.01"),
                spent=usd("0"),
                burn_per_hour=usd("0.6"),
                at=cluster.created_at,
            ),
        )
        async with places:
            began = time.perf_counter()
            await stores[number % SERVERS].create_cluster(cluster, secrets, opening=opening if budgets else ())
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(CLUSTERS)))
    span = time.perf_counter() - began
    for store in stores:
        await store.aclose()
    return CLUSTERS / span, statistics.quantiles(took, n=100)[98] * 1000


def main() -> None:
    """Measure without a budget, with one for each cluster, and with one for all, and print what came of it."""
    with running() as server:
        url = server.create()
        for budgets, word in ((0, "no budget"), (CLUSTERS, "a budget for each"), (1, "one hard budget")):
            per_second, p99 = asyncio.run(measure(url, budgets))
            print(f"{word:>17}: {per_second:6.0f} creates/s, p99 {p99:5.0f} ms")


if __name__ == "__main__":
    main()
