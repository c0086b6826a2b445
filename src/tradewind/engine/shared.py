"""The engine of a server that many share: one of several replicas on one store, any of which may end at any time."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

from tradewind.config import Settings
from tradewind.engine.access.identity import installation, is_dead, new_id
from tradewind.engine.assembly import INSTALLATION, Assembly, Means, put_together
from tradewind.engine.clock import SteadyClock
from tradewind.engine.depot import check_urls
from tradewind.engine.link import AgentLink
from tradewind.engine.rounds.rounds import UNWATCHED
from tradewind.errors import BadRequest, ConfigError
from tradewind.model.people import Caller, MemberRole
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.registry import PROVIDERS, open_provider
from tradewind.store.store import Store

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
NEEDS_NO_SETTING_UP = ("fake",)
LOCAL = "local"
NOBODY = Caller(user_id="", user="nobody", workspace="", role=MemberRole.VIEWER, scopes=frozenset())
"""Who asks until somebody has signed in: they may nothing."""


class Shared:
    """An engine with its store and the providers it may use, on the running event loop. Made by :meth:`open`."""

    def __init__(self, settings: Settings, directory: Path, allowed: tuple[str, ...]) -> None:
        self.settings = settings
        self.directory = directory
        self.allowed = allowed
        """Names of the providers that people may run clusters on."""
        self.installation = ""
        self._providers: dict[str, Provider] = {}
        self._assembly: Assembly | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, settings: Settings, directory: Path, *, link: AgentLink | None = None) -> Shared:
        """Open the store, take over from the dead of this machine, and look after clusters from now on.

        Parameters
        ----------
        settings : Settings
            Of the server.
        directory : Path
            Where the store is, if the settings name no other, and what providers keep.
        link : AgentLink, optional
            The line to schedulers, where there are none that speak HTTP.

        Raises
        ------
        StoreError
            The store can't be opened.
        ConfigError
            A provider is named that there isn't, or clusters on "local" are another replica's, or ``artifacts_url``
            is no store's.
        """
        check_urls(settings.software)
        shared = cls(settings, directory, allowed_providers(settings))
        store = await Store.open(settings.store or directory / "tradewind.db")
        try:
            # One for all replicas: each ends what carries the mark and isn't in the store.
            # A file is also opened by the engines of programs of this directory's user: they use the same mark.
            mine = installation(directory, settings.store) if is_file(settings.store) else new_id("shared")
            shared.installation = await store.facts.agree(INSTALLATION, mine)
            if LOCAL in shared.allowed:
                await claim_local(store, directory)
            await free_leases_of_the_dead(store)
        except BaseException:
            await store.aclose()
            raise
        shared._assembly = put_together(
            Means(
                settings=settings,
                store=store,
                clock=SteadyClock(),
                provider_of=shared.provider,
                offered=shared.offered,
                installation=shared.installation,
                caller=NOBODY,
                sweeps=shared.allowed,
                link=link,
                pace=UNWATCHED,
                is_shared=True,
            )
        )
        shared._assembly.engine.start()
        return shared

    @property
    def assembly(self) -> Assembly:
        """The engine and what it stands on."""
        assert self._assembly is not None, "made by open()"
        return self._assembly

    def offered(self, name: str) -> Provider:
        """Return the provider of this name. Raises BadRequest for one that this server doesn't offer."""
        if name not in self.allowed:
            offered = ", ".join(self.allowed) or "none"
            raise BadRequest(f"this server runs no clusters on {name!r}; it offers: {offered}.")
        return self.provider(name)

    def provider(self, name: str) -> Provider:
        """Return the provider of this name, be it offered or not: what was launched there once is looked after.

        Raises BadRequest where that is another machine's: from here it would seem to be gone.
        """
        if name not in self._providers:
            table = getattr(self.settings, name, None)
            provider = open_provider(
                name,
                ProviderSettings(
                    installation=self.installation,
                    state_directory=str(self.directory),
                    options=asdict(table) if table is not None else {},
                ),
            )
            if name not in self.allowed and provider.capabilities.same_file_system:
                raise BadRequest(f"this server looks after no clusters on {name!r}: they may be another machine's")
            provider.on_change(self._poke)
            self._providers[name] = provider
        return self._providers[name]

    def prepare(self) -> None:
        """Get what takes time before a first launch ready; returns at once."""
        for name in self.allowed:
            self.provider(name).prepare()

    async def aclose(self) -> None:
        """Hand all clusters over to whoever else looks after them, and let go; clusters stay."""
        await self.assembly.aclose(hand_over=True)
        for provider in self._providers.values():
            await provider.aclose()

    def _poke(self) -> None:
        # Providers notice things on threads of their own.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.assembly.engine.poke)


def allowed_providers(settings: Settings) -> tuple[str, ...]:
    """Return where people may run clusters. Raises ConfigError for a name that isn't known.

    Local clusters run as the server's own user, who can read its store: who may start one may become everybody.
    """
    unknown = [name for name in settings.serve.providers if name not in PROVIDERS]
    if unknown:
        known = ", ".join(sorted(PROVIDERS))
        raise ConfigError(f"[serve] providers: there is no provider {unknown[0]!r}; known are: {known}.")
    if settings.serve.providers:
        return settings.serve.providers
    alone = settings.serve.host in LOOPBACK
    return ("local", *NEEDS_NO_SETTING_UP) if alone else NEEDS_NO_SETTING_UP


def is_file(store: str | None) -> bool:
    """Whether this URL of a store names a file, as the default is one."""
    return store is None or store.startswith("sqlite")


async def claim_local(store: Store, directory: Path) -> None:
    """See to it that local clusters of this store are of this data directory alone.

    They are processes of one machine, listed from one directory: to a replica elsewhere they would seem to be gone,
    and it would write them down as lost while they run on.

    Raises
    ------
    ConfigError
        Another data directory was the first.
    """
    mine = installation(directory, None)
    if await store.facts.agree(LOCAL, mine) != mine:
        raise ConfigError(
            f"clusters on 'local' are those of another data directory than {directory}, and only a server there can "
            "look after them: start it there, move that directory here, or offer other providers (--provider)."
        )


async def free_leases_of_the_dead(store: Store) -> None:
    """Free what dead processes of this machine looked after, without waiting for their leases to run out.

    Nothing ends here: on a server, whoever asked for a cluster is not the process that died.
    """
    now = SteadyClock().now()
    for lease in await store.leases():
        if is_dead(lease.holder):
            await store.release_lease(lease, now)
