"""What a round knows of one cluster, and what it decides: both plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tradewind.model.budget import Reservation
from tradewind.model.cluster import Cluster
from tradewind.model.events import Event
from tradewind.model.instance import Instance, ObservedInstance, Role
from tradewind.model.status import StatusPage
from tradewind.model.usage import Usage
from tradewind.planning.choose import Choice
from tradewind.planning.funds import Fund
from tradewind.planning.reservations import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that is known of one cluster, a little old by the time it is read."""

    cluster: Cluster
    instances: tuple[Instance, ...]
    """Every live one, every scheduler, and what else ended within the last minutes."""
    usages: tuple[Usage, ...]
    """The open ones; all of them where a budget must be held."""
    observed: tuple[ObservedInstance, ...] | None
    """What the provider lists for this cluster; None where it didn't answer."""
    looked_at: datetime
    """When the provider was asked; the answer, and all that was read after it, came later."""
    is_shared_look: bool = False
    """Whether the provider was asked before this round began, for others as well: then the page knows more."""
    page: StatusPage | None
    """None where it wasn't asked or didn't answer."""
    choices: Mapping[Role, tuple[Choice, ...]] | None
    """What could be launched for each role, best first; None where the provider didn't answer."""
    funds: tuple[Fund, ...] = ()
    """All that limits what it may spend, its own limit apart; as they were when the cluster was loaded, or later."""
    starts_within: timedelta = timedelta(0)
    """The provider's: how long what is billed takes until Dask is up on it."""
    ends_within: timedelta = timedelta(0)
    """The provider's: how long what was told to end may still be billed."""
    told: timedelta | None = None
    """How long its scheduler was told just now that it may live without being asked again; None: it wasn't told."""
    told_at: datetime | None = None
    """When; given with ``told``."""
    queues: bool = False
    """Whether its provider's instances may wait for long before they are billed."""
    list_lag: timedelta = timedelta(0)
    """The provider's: a launch younger than this may be missing from ``observed``."""
    remembers: timedelta = timedelta(hours=1)
    """The provider's: how long ``observed`` has what has ended."""
    poll_every: timedelta = timedelta(seconds=1)
    """The provider's: how soon to look again while something changes."""
    pace: timedelta = timedelta(seconds=1)
    """How soon to look again at what runs and changes nothing."""

    def terms(self, now: datetime) -> Terms:
        """Return what holds for all of its funds."""
        told = None
        if self.told is not None:
            told = max(timedelta(0), self.told - (now - (self.told_at or now)))
        return Terms(ahead=self.cluster.spec.lifetimes.orphan, ends_within=self.ends_within, told=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One new instance."""

    role: Role
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write and what to do, in this order: write the rows, then do, then write what came of it."""

    cluster: Cluster
    instances: tuple[Instance, ...] = ()
    """Those that changed."""
    usages: tuple[Usage, ...] = ()
    """Those that opened or closed."""
    events: tuple[Event, ...] = ()
    launches: tuple[Launch, ...] = ()
    relaunches: tuple[Instance, ...] = ()
    """Rows whose order may never have been given; the same order is given again. Among ``instances`` as well."""
    terminations: tuple[str, ...] = ()
    """Handles; ours, or of things with our mark that no live row knows."""
    retire: tuple[str, ...] = ()
    """Names of workers that shall hand over their results and leave."""
    retire_any: int = 0
    """As many workers as this shall leave, whichever Dask can best spare."""
    pay_ahead: timedelta | None = None
    """The longest that its scheduler should be told that it may live; None where no budget says so."""
    reservations: tuple[Reservation, ...] = ()
    """What it shall hold of each fund, where that isn't what it holds; written with the rest, or nothing is."""
    say: tuple[str, ...] = ()
    """For the notebooks that are connected."""
    wake_at: datetime | None = None
    """When to look again; None once all is over."""
