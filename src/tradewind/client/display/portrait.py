"""What is shown of a cluster at one moment, in words and figures. Pure: terminals and notebooks only set it in type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tradewind.model.budget import BudgetState
from tradewind.model.cluster import ClusterStatus
from tradewind.model.events import Event
from tradewind.model.instance import Instance, InstanceStatus, Role
from tradewind.model.money import Money, Price
from tradewind.model.usage import Receipt
from tradewind.model.views import ClusterView

JOURNAL_LINES = 3
TOTAL = "total"
EXPIRES_SOON = timedelta(minutes=10)
"""An end by age is announced this long before."""
STEPS_SHOWN = 3
"""Each budget has three, and hardly ever do several pass theirs on one day."""
STEP_SHOWN_FOR = timedelta(hours=12)
"""Later, a budget may have been raised or begun anew, which no journal tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """One cluster as a person sees it."""

    name: str
    where: str
    """Provider, and region where there is one."""
    status: ClusterStatus
    failed: bool
    """Whether it ended in a way its user would call a failure."""
    headline: str
    """A few words: how far its start is, or why it ended."""
    age: str
    scheduler: InstanceStatus | None
    """None before it is ordered."""
    workers: tuple[tuple[InstanceStatus, int], ...]
    """How many in each status, the furthest live one first; those that ended stand last."""
    wanted: str
    """As "2", or "4 to 20" where the number follows the work."""
    threads: int
    memory: int
    """Bytes of the running workers; 0 is no limit."""
    memory_used: int | None
    """Bytes; None where its scheduler hasn't said."""
    tasks: int | None
    """Known and not finished; None where its scheduler hasn't said."""
    cost: str
    price: str
    budget: BudgetState | None
    dashboard: str
    warnings: tuple[str, ...]
    """What will end it soon, and which steps the budgets that pay for it have passed."""
    journal: tuple[Event, ...]
    """The last lines, oldest first, but for those that are warnings."""

    def count(self, status: InstanceStatus) -> int:
        """Return how many workers have this status."""
        return dict(self.workers).get(status, 0)


def portrait(view: ClusterView, journal: Sequence[Event], now: datetime, steps: Sequence[Event] = ()) -> Portrait:
    """Return what there is to show.

    Parameters
    ----------
    view : ClusterView
        As it was last seen.
    journal : sequence of Event
        Oldest first; the last lines are kept.
    now : datetime
        Aware; by the clock that stamped the view.
    steps : sequence of Event
        The journal's lines of budgets that passed a step, oldest first; the last ones are warnings for some hours.
    """
    cluster, page = view.cluster, view.page
    passed = _passed(view, steps, now)
    workers = [i for i in view.instances if i.role is Role.WORKER]
    counts = Counter(i.status for i in workers)
    up = [i for i in workers if i.status is InstanceStatus.RUNNING]
    scheduler = max((i for i in view.instances if i.role is Role.SCHEDULER), key=lambda i: i.requested_at, default=None)
    live = [i for i in view.instances if i.status.is_live]
    region = cluster.spec.region
    return Portrait(
        name=cluster.name,
        where=f"{cluster.spec.provider} · {region}" if region else cluster.spec.provider,
        status=cluster.status,
        failed=cluster.stop_reason is not None and cluster.stop_reason.is_failure,
        headline=_headline(view, len(up)),
        age=span((cluster.stopped_at or now) - cluster.created_at),
        scheduler=scheduler.status if scheduler is not None else None,
        workers=tuple((status, counts[status]) for status in ORDER if counts[status]),
        wanted=_wanted(view),
        threads=sum(w.threads for w in page.workers) if page else int(sum(i.offer.resources.cpus for i in up)),
        memory=sum(w.memory_limit for w in page.workers) if page else sum(i.offer.resources.memory for i in up),
        memory_used=sum(w.memory for w in page.workers) if page else None,
        tasks=page.tasks_running if page else None,
        cost=str(view.cost),
        price=price_of(live),
        budget=view.budget,
        dashboard=(cluster.contact.dashboard or "") if cluster.contact and cluster.status.is_live else "",
        warnings=(
            *_warnings(view, now),
            *(f"At {event.at.astimezone():%H:%M}, {event.message}" for event in passed),
        ),
        journal=tuple([event for event in journal if event not in passed][-JOURNAL_LINES:]),
    )


ORDER = (
    InstanceStatus.RUNNING,
    InstanceStatus.STARTING,
    InstanceStatus.PENDING,
    InstanceStatus.REQUESTED,
    InstanceStatus.STOPPING,
    InstanceStatus.STOPPED,
)
"""From what is of use to what isn't any more."""


def price_of(instances: Sequence[Instance]) -> str:
    """Return what an hour of all ``instances`` costs, as "1.20 USD/h", "free" or "unpriced"."""
    prices = [i.offer.price for i in instances]
    if not prices:
        return "–"
    sums: dict[str, Decimal] = {}
    for price in prices:
        if price is not None and not price.is_free:
            sums[price.currency] = sums.get(price.currency, Decimal(0)) + price.per_hour
    parts = [str(Price(per_hour=amount, currency=currency)) for currency, amount in sorted(sums.items())]
    unpriced = prices.count(None)
    if unpriced == len(prices):
        return "unpriced"
    if unpriced:
        parts.append(f"{unpriced} unpriced")
    return " + ".join(parts) or "free"


def span(duration: timedelta) -> str:
    """Return a duration for a person, rounded down: "42 s", "3 min", "2 h 05 min", "1 d 3 h"."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if hours < 1:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60:02} min"
    return f"{hours // 24} d {hours % 24} h"


def size(nbytes: int) -> str:
    """Return bytes for a person, with three digits: "58.9 MiB", "117 MiB", "23.5 GiB"."""
    amount, units = float(nbytes), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while amount >= 999.5 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:.3g} {units[0]}"


def up_line(name: str, workers: int, wanted: int, threads: int, memory: int, price: str, dashboard: str) -> str:
    """Return the one line that is left of a start."""
    of = f" of {wanted}" if workers < wanted else ""
    parts = [
        f"{workers}{of} worker{'s' if workers != 1 or of else ''}",
        f"{threads} thread{'s' if threads != 1 else ''}",
    ]
    if memory:
        parts.append(size(memory))
    parts.append(price)
    if dashboard:
        parts.append(f"dashboard {dashboard}")
    return f"Cluster {name} is up: {', '.join(parts)}"


def receipt_line(receipt: Receipt) -> str:
    """Return what a cluster cost, in one line."""
    ran = ""
    if receipt.started_at is not None and receipt.stopped_at is not None:
        ran = f" after {span(max(receipt.stopped_at - receipt.started_at, timedelta(seconds=1)))}"
    return f"Cluster {receipt.cluster_name} ended{ran}: {receipt.total}"


def receipt_rows(receipt: Receipt) -> tuple[tuple[str, str], ...]:
    """Return the table of what cost money: each role, the total, and what of it was computing and what was not."""
    rows = [(f"{line.key}s" if line.key == Role.WORKER else line.key, str(line.cost)) for line in receipt.by_role]
    rows.append((TOTAL, str(receipt.total)))
    computing = _money(receipt)
    if computing:
        rows.append(("of it computing", computing))
        rows.append(("of it start-up and waiting", str(receipt.not_computing)))
    return tuple(rows)


def _money(receipt: Receipt) -> str:
    sums: dict[str, Money] = {}
    for line in receipt.by_computation:
        for money in line.cost.money:
            sums[money.currency] = sums[money.currency] + money if money.currency in sums else money
    return " + ".join(str(sums[currency]) for currency in sorted(sums))


def _wanted(view: ClusterView) -> str:
    scaling = view.cluster.intent.scaling
    return f"{scaling.minimum} to {scaling.maximum}" if scaling.is_adaptive else str(scaling.initial)


def _headline(view: ClusterView, up: int) -> str:
    cluster = view.cluster
    if cluster.status.rank >= ClusterStatus.STOPPING.rank:
        return cluster.stop_detail or cluster.intent.stop_detail
    wanted = cluster.scale.wanted
    if cluster.status is ClusterStatus.RUNNING and up >= wanted:
        return ""
    # What the first one waits for is, nearly always, what they all wait for.
    waiting = next((i.detail for i in view.instances if i.detail and i.status.is_live and i.running_at is None), "")
    so_far = f"{up} of {wanted} workers up"
    return f"{so_far}; {waiting}" if waiting else so_far


def _passed(view: ClusterView, steps: Sequence[Event], now: datetime) -> list[Event]:
    if not view.cluster.status.is_live:
        return []
    return [event for event in steps if event.at > now - STEP_SHOWN_FOR][-STEPS_SHOWN:]


def _warnings(view: ClusterView, now: datetime) -> list[str]:
    cluster, page, limits = view.cluster, view.page, view.cluster.spec.lifetimes
    if cluster.status is not ClusterStatus.RUNNING:
        return []
    said = []
    if page is not None and limits.idle is not None:
        idle = timedelta(seconds=page.idle_seconds)
        if idle >= limits.idle / 2:
            held = f", and {page.held_results} results in memory will be lost" if page.held_results else ""
            left = span(max(limits.idle - idle, timedelta(0)))
            said.append(f"Idle for {span(idle)}: it stops in {left}{held}. Any task keeps it.")
    if page is not None and limits.no_client is not None:
        alone = timedelta(seconds=page.no_client_seconds)
        if alone >= limits.no_client / 2:
            left = span(max(limits.no_client - alone, timedelta(0)))
            said.append(f"Nobody is connected: it stops in {left}. Any client keeps it.")
    if cluster.expires_at is not None and cluster.expires_at - now <= EXPIRES_SOON:
        said.append(f"It reaches its cluster_timeout in {span(cluster.expires_at - now)}.")
    if view.budget is not None and view.budget.percent >= 80:
        said.append(f"{view.budget.percent} % of its budget is spent: it stops before the limit is passed.")
    return said
