"""An engine with everything it stands on, put together."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from tradewind.config import Settings, cache_directory
from tradewind.engine.access.asker import Asker
from tradewind.engine.access.identity import installation, is_dead, new_id, this_process
from tradewind.engine.access.members import Members
from tradewind.engine.access.people import People
from tradewind.engine.clock import Clock, SteadyClock
from tradewind.engine.clusters import Clusters
from tradewind.engine.delivery.outbox import Delivery
from tradewind.engine.delivery.posting import HttpPoster
from tradewind.engine.deposits import Deposits
from tradewind.engine.depot import Depots
from tradewind.engine.engine import Engine
from tradewind.engine.environments import Environments
from tradewind.engine.link import AgentLink, HttpAgentLink
from tradewind.engine.records import Records
from tradewind.engine.rounds.peek import Peeks
from tradewind.engine.rounds.rounds import Rounds
from tradewind.engine.spending.accounts import Accounts
from tradewind.engine.spending.budgets import Budgets
from tradewind.engine.tidying import Tidying
from tradewind.engine.verbs import Verbs
from tradewind.errors import StoreError
from tradewind.model.cluster import ClusterStatus, Intent, StopReason
from tradewind.model.people import Caller, MemberRole
from tradewind.planning.funds import ROUND
from tradewind.providers.base import Provider
from tradewind.store.store import Store

INSTALLATION = "installation"
"""The fact by which a server says with what it marks all that it launches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What runs on an engine's event loop."""

    verbs: Verbs
    """Answered for the caller that it was put together for."""
    verbs_of: Callable[[Asker], Verbs]
    engine: Engine
    store: Store
    link: AgentLink
    clock: Clock
    people: People
    poster: HttpPoster

    def as_(self, caller: Caller, request_id: str | None = None) -> Verbs:
        """Return the verbs, answered for ``caller``; the audit log names the request."""
        return self.verbs_of(Asker(self.store, self.clock, caller, request_id))

    async def aclose(self, *, hand_over: bool = False) -> None:
        """Stop looking after clusters and close the store; clusters stay.

        With ``hand_over`` the leases on them are given back, so that another process takes them at once.
        """
        await self.engine.aclose(hands_over=hand_over)
        if isinstance(self.link, HttpAgentLink):
            self.link.close()
        self.poster.close()
        await self.store.aclose()


async def assemble(
    settings: Settings, directory: Path, provider_of: Callable[[str], Provider], *, looks_after: bool
) -> Assembly:
    """Open the store and put an engine on it; it runs if ``looks_after``. Raises StoreError."""
    clock = SteadyClock()
    store = await Store.open(settings.store or directory / "tradewind.db")
    mine = installation(directory, settings.store)
    try:
        await _refuse_what_another_serves(store, mine)
        await inherit(store, clock)
    except BaseException:
        await store.aclose()
        raise
    # Whoever runs the engine in their own process owns all there is in its store.
    caller = Caller(user_id="", user=getpass.getuser(), workspace=settings.workspace, role=MemberRole.OWNER)
    means = Means(
        settings=settings,
        store=store,
        clock=clock,
        provider_of=provider_of,
        installation=mine,
        caller=caller,
        keeps_alive=looks_after,
    )
    assembly = put_together(means)
    if looks_after:
        assembly.engine.start()
    return assembly


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an engine is put together from."""

    settings: Settings
    store: Store
    clock: Clock
    provider_of: Callable[[str], Provider]
    installation: str
    """What all that it launches is marked with."""
    caller: Caller
    """For whom its verbs answer, where nobody else is named."""
    offered: Callable[[str], Provider] | None = None
    """As ``provider_of``, for what is new: raises BadRequest for what people may run nothing on. None: all alike."""
    sweeps: tuple[str, ...] = ()
    """Providers that are searched for what belongs to no live cluster, also while nothing is looked after there."""
    link: AgentLink | None = None
    """Its line to schedulers; None is the real one."""
    pace: timedelta = ROUND
    """How soon it looks again at what runs quietly and nobody watches."""
    keeps_alive: bool = True
    """Whether clusters live on by its looks."""
    is_shared: bool = False
    """Whether it is a server's, for people of any number."""


def put_together(means: Means) -> Assembly:
    """Return an engine; it doesn't run yet."""
    store, clock = means.store, means.clock
    link = means.link or HttpAgentLink()
    rounds = Rounds(
        store=store,
        provider_of=means.provider_of,
        link=link,
        clock=clock,
        new_id=new_id,
        installation=means.installation,
        holder=this_process(),
        depots=Depots(means.settings.software, installation=means.installation, is_shared=means.is_shared),
        pace=means.pace,
        sweeps=means.sweeps,
        keeps_alive=means.keeps_alive,
    )
    settings = means.settings
    poster = HttpPoster(private_addresses=settings.webhooks.private_addresses)
    accounts = Accounts(store=store, clock=clock, holder=rounds.holder, mails=settings.mail.host is not None)
    delivery = Delivery(store=store, clock=clock, mail=settings.mail, poster=poster)
    tidying = Tidying(store=store, clock=clock, cache=cache_directory(), installation=means.installation)
    chores = (("accounts", accounts.look_at_all), ("delivery", delivery.deliver_all), ("tidying", tidying.tidy))
    engine = Engine(rounds, store, clock, chores=chores)
    accounts.poke = engine.poke
    verbs_of = _verbs_on(engine, link, means)
    return Assembly(
        verbs=verbs_of(Asker(store, clock, means.caller)),
        verbs_of=verbs_of,
        engine=engine,
        store=store,
        link=link,
        clock=clock,
        people=People(store, clock, settings, new_id=new_id),
        poster=poster,
    )


def _verbs_on(engine: Engine, link: AgentLink, means: Means) -> Callable[[Asker], Verbs]:
    """Return what makes the verbs of an engine for one who asks."""
    store, clock = means.store, means.clock
    offered = means.offered or means.provider_of
    peeks = Peeks(store, link, clock)

    def new_token() -> str:
        return secrets.token_urlsafe(32)

    def verbs_of(asker: Asker) -> Verbs:
        deposits = Deposits(engine.rounds.depots, offered, asker)
        return Verbs(
            clusters=Clusters(
                engine,
                store,
                clock,
                means.provider_of,
                asker=asker,
                deposits=deposits,
                peeks=peeks,
                offered=offered,
                new_id=new_id,
                new_token=new_token,
            ),
            records=Records(store, clock, asker),
            budgets=Budgets(
                store,
                clock,
                asker=asker,
                new_id=new_id,
                new_token=new_token,
                private_addresses=means.settings.webhooks.private_addresses,
            ),
            environments=Environments(store, clock, asker),
            deposits=deposits,
            members=Members(store.people, clock, asker, new_id=new_id),
        )

    return verbs_of


async def inherit(store: Store, clock: Clock) -> None:
    """Take over from programs on this machine that are dead, without waiting for their leases to run out.

    A cluster that was up lives on until nobody is connected for long. One that wasn't up yet is ended: the program
    that asked for it can't use it any more, and going on would launch something that nobody waits for. Where a server
    uses the same store, nothing ends: who asked for it may not be the program that died.
    """

    def end(intent: Intent) -> Intent:
        why = "the program that asked for it ended before it was up"
        return replace(intent, stop=True, stop_reason=StopReason.NO_CLIENT, stop_detail=why)

    dead = [lease for lease in await store.leases() if is_dead(lease.holder)]
    is_shared = bool(dead) and await store.people.any_user()
    for lease in dead:
        cluster = await store.get_cluster(lease.cluster_id)
        if not is_shared and cluster.status.rank < ClusterStatus.RUNNING.rank and not cluster.intent.stop:
            await store.change_intent(cluster.id, end, now=clock.now())
        await store.release_lease(lease, now=clock.now())


async def _refuse_what_another_serves(store: Store, mine: str) -> None:
    """Raise StoreError for the store of a server elsewhere.

    What it launched carries its own mark. An engine with another one doesn't see that, and would write down that all
    of it was lost, while it runs on.
    """
    serves = await store.facts.known(INSTALLATION)
    if serves is not None and serves != mine:
        raise StoreError(
            f"{store.place} belongs to a Tradewind server that marks what it launches in its own way; sign in to it "
            "(tradewind login URL), or set another store"
        )
