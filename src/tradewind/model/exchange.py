"""What a client and a server say to each other where no noun says it alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from tradewind.model.budget import BudgetScope, Period, Webhook
from tradewind.model.cluster import ClusterSpec, ClusterStatus, Scaling
from tradewind.model.environment import Artifact, Environment
from tradewind.model.events import Event
from tradewind.model.instance import Instance
from tradewind.model.money import Money
from tradewind.model.named import EnvironmentVersion

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """Some of a list. Without slots: a generic class can't have them and keep its parameter."""

    items: tuple[T, ...]
    next: str | None = None
    """What to give as ``cursor`` to get those that follow; None is the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCluster:
    """Ask for a cluster."""

    spec: ClusterSpec
    environment: Environment | None = None
    """The caller's software."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Ask what a cluster would be."""

    spec: ClusterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Ask for another number of workers."""

    scaling: Scaling
    dismiss: tuple[str, ...] = ()
    """Ids of worker instances that shall leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSoftware:
    """Ask for other software on the workers: those that were started with another are replaced."""

    environment: Environment | None = None
    """None: as it is."""
    compiled: str = ""
    """Names the compiled code of the caller, such as its hash: where it differs, workers are replaced as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeposit:
    """Ask where the files of one's own code may be put, for clusters that are made afterwards."""

    provider: str
    """Where they shall run."""
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """Where one file is to be put."""

    sha256: str
    """Of the file."""
    url: str
    """Takes one PUT of it, with ``x-ms-blob-type: BlockBlob`` among the headers, within a quarter of an hour. It lets
    one write there: it isn't shown to anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """What of it is to be put where."""

    is_taken: bool
    """Whether files can be put anywhere; else the caller's code goes to the cluster over Dask's own line."""
    detail: str = ""
    """Why not."""
    uploads: tuple[Upload, ...] = ()
    """Of the files that aren't there yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """A client's keys of one cluster, all PEM."""

    authority: str
    certificate: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLine:
    """One entry of a cluster's journal."""

    seq: int
    """Grows; what to give as ``after`` to get those that follow."""
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNews:
    """How a cluster stands: the data of an event that says it changed."""

    cluster_id: str
    workspace: str
    name: str
    owner: str
    status: ClusterStatus
    revision: int
    """Grows with every change of the record; the same number is the same news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetNews:
    """How a budget stands: the data of an event that says it was set, changed, removed, or has passed a step."""

    budget_id: str
    workspace: str
    scope: BudgetScope
    key: str
    """Whose: see :class:`~tradewind.model.budget.BudgetScope`."""
    limit: Money
    is_hard: bool
    step: int
    """The highest, in per cent, that was passed in its present period: 0, 50, 80 or 100."""
    removed_at: datetime | None
    """None while it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceLog:
    """The last lines that one instance wrote."""

    instance: Instance
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why something was not done (RFC 9457)."""

    type: str
    """``urn:tradewind:`` and the name of a class in :mod:`tradewind.errors`."""
    title: str
    """Of the status."""
    status: int
    detail: str
    """The thing, the fact, and the next step."""
    request_id: str
    """By which the server's log knows it."""
    retry_after: float | None = None
    """Seconds after which to ask again, where that helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a server is."""

    ok: bool
    facts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBudget:
    """Ask for a limit."""

    limit: Money
    scope: BudgetScope = BudgetScope.WORKSPACE
    key: str = ""
    """Whose: see :class:`~tradewind.model.budget.BudgetScope`."""
    period: Period = Period.MONTH
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    is_hard: bool = True

    @property
    def aim(self) -> tuple[object, ...]:
        """See :attr:`tradewind.model.budget.Budget.aim`."""
        return (self.scope, self.key, self.limit.currency, self.period, self.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetChange:
    """Ask for another limit; what is left out stays."""

    limit: Money | None = None
    is_hard: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """Ask that notifications are posted somewhere."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeWebhook:
    """A webhook that was just made."""

    webhook: Webhook
    signing_key: str
    """Signs each delivery; shown this once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEnvironment:
    """Ask that software gets a name: packages, or an image."""

    name: str
    environments: tuple[Environment, ...] = ()
    """One for each platform, the usual one first. Their hashes are reckoned anew."""
    image: str = ""
    source: str = ""
    """Name of the file it was made from."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeEnvironment:
    """The version that has what was asked for."""

    version: EnvironmentVersion
    is_new: bool
    """Whether it was made just now; False: the newest one had the very content already."""
