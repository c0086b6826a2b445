"""How many clusters a second can be created under one hard budget, on PostgreSQL, by several servers at once.

Run it with ``python -m benchmarks.budget_contention`` from the top of the repository; it needs PostgreSQL's programs.
"""

from __future__ import annotations

import asyncio
import statistics
import time
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


async def measure(url: str, *, with_budget: bool) -> tuple[float, float]:
    """Return creates per second, and the milliseconds that 99 of 100 took at most."""
    stores = [await Store.open(url) for _ in range(SERVERS)]
    now = datetime.now(UTC)
    workspace = f"lab-{with_budget}"
    budget = Budget(
        id=f"b-{with_budget}",
        workspace=workspace,
        scope=BudgetScope.WORKSPACE,
        limit=usd("1000000"),
        created_by="ada",
        created_at=now,
    )
    entry = AuditEntry(seq=0, at=now, workspace=workspace, user="ada", action="budget.created", subject=budget.id)
    await stores[0].money.add(budget, (), entry)
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
                budget_id=budget.id,
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
            await stores[number % SERVERS].create_cluster(cluster, secrets, opening=opening if with_budget else ())
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(CLUSTERS)))
    span = time.perf_counter() - began
    for store in stores:
        await store.aclose()
    return CLUSTERS / span, statistics.quantiles(took, n=100)[98] * 1000


def main() -> None:
    """Measure with and without a budget, and print both."""
    with running() as server:
        url = server.create()
        for with_budget in (False, True):
            per_second, p99 = asyncio.run(measure(url, with_budget=with_budget))
            word = "one hard budget" if with_budget else "no budget"
            print(f"{word:>16}: {per_second:6.0f} creates/s, p99 {p99:5.0f} ms")


if __name__ == "__main__":
    main()
