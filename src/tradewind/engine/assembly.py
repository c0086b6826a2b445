"""An engine with everything it stands on, put together."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tradewind.config import Settings
from tradewind.engine.clock import Clock, SteadyClock
from tradewind.engine.engine import Engine
from tradewind.engine.identity import installation, is_dead, new_id, this_process
from tradewind.engine.link import HttpAgentLink
from tradewind.engine.rounds import Rounds
from tradewind.engine.service import Service
from tradewind.model.cluster import ClusterStatus, Intent, StopReason
from tradewind.model.people import Caller, MemberRole
from tradewind.providers.base import Provider
from tradewind.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What runs on an engine's thread."""

    service: Service
    engine: Engine
    store: Store
    link: HttpAgentLink

    async def aclose(self) -> None:
        """Stop looking after clusters and close the store; clusters stay."""
        await self.engine.aclose()
        self.link.close()
        await self.store.aclose()


async def assemble(
    settings: Settings, directory: Path, provider_of: Callable[[str], Provider], *, looks_after: bool
) -> Assembly:
    """Open the store and put an engine on it; it runs if ``looks_after``. Raises StoreError."""
    clock = SteadyClock()
    store = await Store.open(settings.store or directory / "tradewind.db")
    link = HttpAgentLink()
    rounds = Rounds(
        store=store,
        provider_of=provider_of,
        link=link,
        clock=clock,
        new_id=new_id,
        installation=installation(directory, settings.store),
        holder=this_process(),
    )
    await inherit(store, clock)
    engine = Engine(rounds, store, clock)
    if looks_after:
        engine.start()
    service = Service(
        engine,
        store,
        clock,
        provider_of,
        # Whoever runs the engine in their own process owns all there is in its store.
        caller=Caller(user_id="", user=getpass.getuser(), workspace=settings.workspace, role=MemberRole.OWNER),
        new_id=new_id,
        new_token=lambda: secrets.token_urlsafe(32),
    )
    return Assembly(service=service, engine=engine, store=store, link=link)


async def inherit(store: Store, clock: Clock) -> None:
    """Take over from programs on this machine that are dead, without waiting for their leases to run out.

    A cluster that was up lives on until nobody is connected for long. One that wasn't up yet is ended: the program
    that asked for it can't use it any more, and going on would launch something that nobody waits for.
    """

    def end(intent: Intent) -> Intent:
        why = "the program that asked for it ended before it was up"
        return replace(intent, stop=True, stop_reason=StopReason.NO_CLIENT, stop_detail=why)

    for lease in await store.leases():
        if is_dead(lease.holder):
            cluster = await store.get_cluster(lease.cluster_id)
            if cluster.status.rank < ClusterStatus.RUNNING.rank and not cluster.intent.stop:
                await store.change_intent(cluster.id, end, now=clock.now())
            await store.release_lease(lease, now=clock.now())
