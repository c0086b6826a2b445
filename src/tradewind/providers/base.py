"""The door to one infrastructure: six verbs, three errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Self

from tradewind.boot.process import Boot, Software
from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec
from tradewind.model.instance import Contact, Marks, ObservedInstance
from tradewind.model.offer import Offer
from tradewind.model.resources import Need
from tradewind.model.views import PlannedInstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Facts about an infrastructure; a decision that depends on one reads it here."""

    spot: bool = False
    regions: bool = False
    arm: bool = False
    gpus: bool = False
    vm_types: bool = False
    """Whether ``worker_vm_types`` means anything."""
    software: bool = False
    """Whether a named environment can be run; else it runs the caller's own."""
    images: bool = False
    """Whether a named environment can be a container image."""
    same_file_system: bool = False
    """Whether the caller's directories exist there."""
    runs_software: bool = True
    """Whether a machine must be given the caller's software, where it doesn't see his directories; else nothing runs
    there but what is pretended."""
    logs_of_the_dead: bool = False
    self_expiry: bool = False
    """Whether ``expires_at`` holds without us."""
    starts_within: timedelta = timedelta(0)
    """How long after its bill began Dask is up on an instance, usually; what is launched has the money for it."""
    ends_within: timedelta = timedelta(0)
    """How long what was told to end may still be billed; kept back from every hard budget."""
    queues: bool = False
    """Whether what is launched may wait for days, unbilled, without anything being wrong."""
    list_lag: timedelta = timedelta(0)
    """How long after a launch ``observe`` may not list it yet."""
    remembers: timedelta = timedelta(hours=1)
    """How long ``observe`` lists what has ended: what isn't listed after a longer pause may have lived meanwhile."""
    launches_at_once: int = 50
    """How many launches may be under way at a time; more where they are one call of the infrastructure."""
    poll_every: timedelta = timedelta(seconds=5)
    """How often ``observe`` may be asked while something changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Launch one instance. The same order (by ``marks.order``) given twice launches once."""

    marks: Marks
    offer: Offer
    boot: Boot
    expires_at: datetime | None = None
    cluster_contact: Contact | None = None
    """Of the cluster's scheduler, where it is already known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """Something exists now; the last handle of an order suffices to end it."""

    order: str
    handle: str
    contact: Contact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """What a provider is made from."""

    installation: str
    """Id of this installation; a provider never shows what carries another one's mark."""
    state_directory: str
    """A directory of this user on this machine that the provider may write in."""
    options: Mapping[str, object] = field(default_factory=dict)
    """The provider's own table of the settings file, checked already."""


class Provider(ABC):
    """One infrastructure.

    All verbs are safe to repeat. Each may raise :class:`~tradewind.errors.Unavailable`;
    ``launch`` also :class:`~tradewind.errors.NoCapacity` and :class:`~tradewind.errors.Rejected`.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: ProviderSettings) -> Self:
        """Return a provider; starts nothing and uses no network.

        Raises
        ------
        MissingExtra
            A library it needs isn't installed; the message holds the command that installs it.
        ConfigError
            Its settings can't be used.
        """

    def configured(self, options: Mapping[str, object]) -> Provider:
        """Return this provider for one cluster whose ``backend_options`` stand in place of its settings.

        It is asked for offers and given orders; what was launched is looked after by this one.

        Raises
        ------
        BadRequest
            It has no such settings, or they can't be other ones for one cluster.
        """
        if options:
            raise BadRequest(f"provider {self.name!r} takes no backend_options: leave out {', '.join(sorted(options))}")
        return self

    def check(self, spec: ClusterSpec) -> None:  # noqa: B027 - most providers can honour all that Capabilities covers
        """Raise :class:`~tradewind.errors.BadRequest` for what only this provider knows to be impossible."""

    @abstractmethod
    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        """Return what satisfies ``need``, cheapest first, unpriced last; empty if nothing does.

        Raises
        ------
        BadRequest
            Nothing here can ever satisfy it; the message says what the most is.
        """

    @abstractmethod
    def launch(self, order: Order) -> AsyncIterator[Handle]:
        """Ask for one instance and go; yields as soon as something exists that could be left behind.

        Returns when the infrastructure has accepted the order, not when the instance is up.
        """

    @abstractmethod
    async def observe(self) -> Sequence[ObservedInstance]:
        """Return all that is alive and carries our installation's mark, in one call; the only truth.

        The dead are listed too, STOPPED and with their times, for as long as the infrastructure remembers them.
        """

    @abstractmethod
    async def terminate(self, handles: Sequence[str]) -> None:
        """Ask for the end of these and go; what is absent already is a success."""

    @abstractmethod
    async def logs(self, handle: str, lines: int) -> Sequence[str]:
        """Return the last ``lines`` lines of what the instance wrote; empty where there is nothing."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of connections and helpers; launched instances stay."""

    async def outlook(self, offer: Offer, count: int) -> str:
        """Return when so many would start, in words; empty where nobody knows, or they start at once. For people."""
        return ""

    async def standing(self) -> str:
        """Return what its user may still spend there, and with which priority, in words; empty where nobody says."""
        return ""

    def prepare(self) -> None:  # noqa: B027 - a hint, most providers have nothing to warm
        """Get ready for a launch that is about to come. A hint: returns at once, may do nothing."""

    async def expect(self, planned: Sequence[PlannedInstances], software: Software) -> None:  # noqa: B027 - a hint
        """Begin to have there what instances like these will need, before any is ordered. A hint: may do nothing.

        What it begins is no instance: nobody pays for it, and it ends by itself. Raises nothing that matters.

        Parameters
        ----------
        planned : sequence of PlannedInstances
            What is about to be ordered.
        software : Software
            As much of theirs as is known, without any file.
        """

    def on_change(self, poke: Callable[[], None]) -> None:  # noqa: B027 - a hint, most infrastructures don't call back
        """Call ``poke`` when something may have changed. A hint for promptness, never the truth."""
