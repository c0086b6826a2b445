"""Limits on spending, and what is promised under them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tradewind.model.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """How a limit stands now."""

    limit: Money
    spent: Money
    """Metered up to now."""
    burn_per_hour: Money
    """What an hour costs at the present size."""

    @property
    def left(self) -> Money:
        """What may still be spent; never below 0."""
        rest = max(self.limit.amount - self.spent.amount, self.limit.amount * 0)
        return Money(amount=rest, currency=self.limit.currency)

    @property
    def percent(self) -> int:
        """Spent, in whole per cent of the limit, rounded down."""
        if self.limit.amount == 0:
            return 100
        return int(self.spent.amount * 100 / self.limit.amount)


class BudgetScope(StrEnum):
    """Whose spending a budget limits, within its workspace."""

    WORKSPACE = "workspace"
    """All of it; the key is empty."""
    USER = "user"
    """One user's; the key is their name."""
    TAG = "tag"
    """What carries a tag; the key is ``project=enso``."""
    CLUSTER = "cluster"
    """Clusters of one name; the key is the name."""


class Use(StrEnum):
    """How much a cluster is in use: when money runs out, the first of these goes first."""

    IDLE = "idle"
    """Nothing runs, and nobody connected holds a result in it."""
    ALONE = "alone"
    """Nobody is connected."""
    USED = "used"
    """Somebody is; or nobody knows, because it doesn't answer."""


class Period(StrEnum):
    """When a budget begins anew."""

    MONTH = "month"
    """Each calendar month, UTC."""
    GRANT = "grant"
    """Once, from ``starts_at`` to ``ends_at``; nothing may be spent outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A limit of a workspace. Several may hold for one cluster; each of them must have room."""

    id: str
    workspace: str
    scope: BudgetScope
    key: str = ""
    """See :class:`BudgetScope`."""
    limit: Money
    period: Period = Period.MONTH
    starts_at: datetime | None = None
    """First moment of a grant."""
    ends_at: datetime | None = None
    """First moment after a grant."""
    is_hard: bool = True
    """Whether it refuses and stops; a soft one only tells."""
    created_by: str
    created_at: datetime
    removed_at: datetime | None = None

    @property
    def aim(self) -> tuple[object, ...]:
        """What tells it from the others of its workspace: whose spending, in which currency, when."""
        return (self.scope, self.key, self.limit.currency, self.period, self.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One period of a budget: what is spent or promised in it. The row that racing clusters lock."""

    budget_id: str
    starts_at: datetime
    ends_at: datetime
    committed: Money
    """Sum of what its reservations hold; never above the limit of a hard budget."""
    burn_per_hour: Money
    """Sum over its reservations of clusters that live."""
    told: int = 0
    """The highest step, in per cent, that its people were told of: 0, 50, 80 or 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What one cluster holds of an account: spent already, and paid ahead. The cluster's holder alone writes it."""

    budget_id: str
    starts_at: datetime
    """Of the account's period."""
    cluster_id: str
    reserved: Money
    """All this cluster may spend in the period until it asks for more; once it has stopped, what it did spend."""
    spent: Money
    """Metered at ``at``."""
    burn_per_hour: Money
    """From ``at`` on; 0 once it has stopped."""
    at: datetime
    use: Use = Use.USED
    """As its holder last saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a budget will have spent at the end of its period, if things go on."""

    at_period_end: Money
    """At the pace of the last seven days."""
    exhausted_at: datetime | None
    """When the limit will be reached; None if not within the period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """All there is to show of a budget."""

    budget: Budget
    starts_at: datetime
    ends_at: datetime
    """Of the period that runs now, or of the next or last one of a grant."""
    state: BudgetState
    reserved: Money
    """Promised to clusters that run, and not spent yet."""
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where a workspace's notifications are posted to."""

    id: str
    workspace: str
    url: str
    created_by: str
    created_at: datetime
