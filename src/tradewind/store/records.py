"""What goes into the store and comes out of it together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tradewind.model.budget import Reservation
from tradewind.model.cluster import Cluster
from tradewind.model.computation import Computation
from tradewind.model.events import Event
from tradewind.model.instance import Instance
from tradewind.model.secret import Secret
from tradewind.model.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSecrets:
    """What a cluster's keys are made from; deleted when it has stopped."""

    authority_certificate: str
    """PEM certificate of the cluster's own authority."""
    authority_key: Secret
    """PEM key of that authority."""
    agent_token: Secret
    """Bearer token of the agent's JSON pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Somebody looks after a cluster, alone, until a moment."""

    cluster_id: str
    holder: str
    epoch: int
    """Counts the holders; what an earlier holder planned can't be saved any more."""
    until: datetime
    revision: int = field(default=0, compare=False)
    """Of the cluster when the lease was taken or renewed, or when its holder has read it since: what was read at this
    number needn't be read again, and a save knows by it whether anybody wrote in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A cluster with all that a plan for it needs, read at one moment."""

    cluster: Cluster
    instances: tuple[Instance, ...]
    """In the order they were asked for; workers that ended long ago may be left out, see :meth:`Store.load`."""
    open_usages: tuple[Usage, ...]
    """Those that still run."""
    secrets: ClusterSecrets | None
    """None once it has stopped."""
    reservations: tuple[Reservation, ...] = ()
    """What it holds of budgets."""
    revision: int = 0
    """The number that every save and every change of intent raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A cluster with all that ever belonged to it, read at one moment."""

    cluster: Cluster
    instances: tuple[Instance, ...]
    """The stopped ones too, in the order they were asked for."""
    usages: tuple[Usage, ...]
    """Oldest first."""
    revision: int
    """As long as the cluster has this number, nothing of it is another, but for when it was last seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one round found and did; written as a whole or not at all."""

    cluster: Cluster | None = None
    """As it is now; its ``intent`` isn't written, since that is people's. None: nothing of it changed."""
    instances: tuple[Instance, ...] = ()
    usages: tuple[Usage, ...] = ()
    events: tuple[Event, ...] = ()
    computations: tuple[Computation, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    """What the cluster shall hold of budgets; where there is no room for it, nothing is written."""
    wake_at: datetime | None = None
    """When to look at it again; None: only people wake it."""
