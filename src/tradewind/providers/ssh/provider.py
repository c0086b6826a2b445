"""The SSH provider: schedulers and workers are processes of hosts that you may log in to."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self

from tradewind.boot.process import Software
from tradewind.config import SshHost
from tradewind.errors import BadRequest, NoCapacity, Rejected, StillPreparing, Unavailable
from tradewind.host.records import KEPT_FOR, SAFE
from tradewind.line import Places, Silent
from tradewind.model.cluster import ClusterSpec
from tradewind.model.environment import Target
from tradewind.model.instance import InstanceStatus, Marks, ObservedInstance
from tradewind.model.offer import Offer
from tradewind.model.resources import Need
from tradewind.model.views import PlannedInstances
from tradewind.providers.base import Capabilities, Handle, Order, Provider, ProviderSettings
from tradewind.providers.ssh.host_line import HostLine
from tradewind.providers.ssh.inventory import Share, fits, hosts_from, share_of
from tradewind.providers.ssh.known import Known, Memory, Placed
from tradewind.providers.ssh.news import News
from tradewind.providers.ssh.offers import candidates, hosts_expected, offers_for
from tradewind.providers.ssh.parcel import (
    LATEST_S,
    check_software,
    local_files,
    parcel,
    refusal_of,
    refuse_clock,
)
from tradewind.providers.ssh.sight import (
    gone_by,
    handle_of,
    last_seen,
    met_by_schedulers,
    never_ran,
    never_seen,
    nonsense,
    observed,
    shares,
    with_crews,
)
from tradewind.providers.unsafe import ADDRESSES, OURS, refuse_from_a_worker, refuse_options

logger = logging.getLogger("tradewind.ssh")

TROUBLED_S = 300.0
"""For how long a host on which something ended before it ran is taken last."""
START_WITHIN_S = 40.0
STRAYS_EVERY_S = 2.0
CALM_STRAYS_EVERY_S = 60.0
STRAYS_S = 3 * 86400.0
"""How far back orders are looked through for what a silent host may have: longer than what is alone there lives."""
KEPT_S = KEPT_FOR.total_seconds()
"""How long it is told of what ended on a host that isn't among the settings any more."""
LOOK_WITHIN_S = 3.0
"""Less than the engine waits for a list: a host that doesn't answer must not make all others seem silent."""


class SshProvider(Provider):
    """Processes of the hosts in your inventory.

    Each instance has a keeper on its host, which ends it at its time, at its memory limit, or when asked, with all
    that it started. Keepers don't need this provider: when the connection is cut, they hold on to their limits, a
    scheduler that nobody asks for its page ends, and its workers follow.

    Parameters
    ----------
    settings : ProviderSettings
        Options: the table ``[ssh]`` of the settings.
    """

    name: ClassVar[str] = "ssh"
    capabilities: ClassVar[Capabilities] = Capabilities(
        arm=True,
        gpus=True,
        vm_types=True,
        software=True,
        logs_of_the_dead=True,
        self_expiry=True,
        starts_within=timedelta(minutes=2),
        ends_within=timedelta(seconds=5),
        remembers=KEPT_FOR,
        poll_every=timedelta(seconds=1),
    )

    def __init__(self, settings: ProviderSettings) -> None:
        options = settings.options
        self._installation = settings.installation
        self._hosts = hosts_from(options)
        self._packs = options.get("placement") == "pack"
        self._memory = Memory(Path(settings.state_directory).absolute() / "ssh")
        self._strays: dict[str, Placed] = {}
        """Orders that were placed lately, perhaps by another process; read while a host is silent."""
        self._strays_read_at = 0.0
        self._reading_strays = asyncio.Lock()
        places = Places(
            known_hosts=os.path.expanduser(str(options.get("known_hosts", "~/.ssh/known_hosts"))),
            config=os.path.expanduser(str(options.get("config", "~/.ssh/config"))),
        )
        self._lines = {host.name: HostLine(host, places, self._poke) for host in self._hosts}
        self._known: dict[str, Known] = {}
        self._machines: dict[str, Target] = {}
        """What runs on each host that has answered."""
        self._silent: dict[str, Silent] = {}
        self._troubled: dict[str, float] = {}
        """Until when a host is tried last, by the monotonic clock."""
        self._mourned: set[str] = set()
        """Handles of those that ended before they ran, and were noticed."""
        self._pending: dict[str, Share] = {}
        """What is being launched, by host."""
        self._news = News(self._lines)
        self._looking: asyncio.Task[None] | None = None
        self._pokes: list[Callable[[], None]] = []

    @classmethod
    def from_settings(cls, settings: ProviderSettings) -> Self:
        """Return the provider; connects to nothing yet. Raises ConfigError for an inventory that can't be used."""
        return cls(settings)

    def check(self, spec: ClusterSpec) -> None:
        """Refuse what can't run there.

        Raises
        ------
        BadRequest
            A keyword would undo what makes the cluster safe, or the caller is an instance itself.
        """
        refuse_from_a_worker()
        refuse_options(spec, OURS | ADDRESSES, "on SSH hosts")
        own = [host.name for host in self._hosts if host.environment is not None]
        if spec.software is not None and own:
            raise BadRequest(
                f"{own[0]} runs the environment that its settings name, so software={spec.software!r} can't be "
                "honoured there: leave it out, or take `environment` out of [[ssh.hosts]]"
            )

    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        """Return shares of the hosts; asks what machines they are, once. Raises BadRequest for too much."""
        if spot:
            return ()
        await asyncio.gather(*(self._meet(host) for host in self._hosts))
        return offers_for(need, self._hosts, self._machines)

    async def _meet(self, host: SshHost) -> None:
        """Learn what runs on a host, once: software must be had for it."""
        if host.name in self._machines or host.environment is not None:
            return
        try:
            hello = (await self._lines[host.name].station(LOOK_WITHIN_S)).hello
        except Silent as silent:  # it is offered all the same: it may answer when it is launched on
            logger.info("what runs on %s isn't known: %s", host.name, silent)
            return
        self._machines[host.name] = Target(platform=str(hello["platform"]), glibc=str(hello["glibc"]))

    async def expect(self, planned: Sequence[PlannedInstances], software: Software) -> None:
        """Let the hosts that would take it begin to make what indexes have of ``software``."""

        def in_order(one: PlannedInstances, besides: Mapping[str, Share]) -> list[SshHost]:
            fitting = candidates(one.offer, one.role, self._hosts, self._machines)
            return self._in_order(fitting, share_of(one.offer.resources, one.role), besides)

        await asyncio.gather(*(self._lines[name].begin(software) for name in hosts_expected(planned, in_order)))

    # Launching

    async def launch(self, order: Order) -> AsyncIterator[Handle]:
        """Have one instance claimed on a host; yields once its starter has the order."""
        marks = order.marks
        if not SAFE.fullmatch(marks.order) or not SAFE.fullmatch(marks.cluster):
            raise Rejected(f"{marks.order!r} or {marks.cluster!r} is no plain file name, as a run directory needs")
        fitting = candidates(order.offer, marks.role, self._hosts, self._machines)
        check_software(order, fitting)
        await self._look_anew()
        bound = self._where(marks.order)
        if bound and marks.order in self._of(bound).runs:
            yield Handle(order=marks.order, handle=handle_of(bound, marks.order))
            return
        if bound and bound not in self._lines:
            raise self._out_of_reach(bound, marks)
        share = share_of(order.offer.resources, marks.role)
        choice = [self._lines[bound].host] if bound else self._in_order(fitting, share)
        refusals: list[Silent | NoCapacity] = []
        for host in choice:
            placed = Placed(host=host.name, at=time.time(), marks=marks, alone_s=order.boot.orphan_timeout_s)
            place = self._memory.place(marks.order, placed)
            if place not in self._lines:
                raise self._out_of_reach(place, marks)
            self._pending[place] = self._pending.get(place, Share()) + share
            try:
                await self._start(self._lines[place], order, share)
            except (Silent, NoCapacity) as refusal:
                if isinstance(refusal, Silent) and (bound or not refusal.is_certain):
                    # It may have it. Until that is known, nobody else may.
                    words = f"{refusal}; whether it has started {marks.instance} will be seen when it answers"
                    raise Unavailable(words) from None
                self._memory.unplace(marks.order)
                refusals.append(refusal)
            except StillPreparing:
                self._memory.unplace(marks.order)  # it hasn't been asked to start anything yet
                raise
            else:
                self._memory.take(marks.order, replace(placed, host=place))
                yield Handle(order=marks.order, handle=handle_of(place, marks.order))
                return
            finally:
                self._pending[place] -= share
        others = [self._silent.get(h.name) or NoCapacity(f"{h.name} is full") for h in fitting if h not in choice]
        here = {host.name for host in fitting}
        beyond = [silent for name, silent in self._silent.items() if silent.is_lasting and name not in here]
        raise refusal_of(order.offer, [*refusals, *others], beyond)

    def _out_of_reach(self, host: str, marks: Marks) -> Unavailable | Rejected:
        """Return what it means that an order is bound to a host which the settings don't name any more."""
        placed = self._memory.placed(marks.order)
        if placed is not None and time.time() < gone_by(placed.at, placed.alone_s):
            return Unavailable(f"{_left(host)}; {marks.instance} may have been started there")
        return Rejected(f"{_left(host)}, and {marks.instance} was to run there")

    def _where(self, order: str) -> str:
        """Return the host that has an order, or may have it; empty where none may."""
        has = next((name for name, known in self._known.items() if order in known.runs), "")
        return has or self._memory.place_of(order)

    def _in_order(
        self, hosts: Sequence[SshHost], share: Share, besides: Mapping[str, Share] = MappingProxyType({})
    ) -> list[SshHost]:
        """Return the hosts with room, in the order to try them."""
        now, nothing = time.monotonic(), Share()
        coming = {h.name: self._pending.get(h.name, nothing) + besides.get(h.name, nothing) for h in hosts}
        taken = {h.name: shares(self._of(h.name).runs) + coming[h.name] for h in hosts}

        def used(host: SshHost) -> float:
            of = taken[host.name]
            return max(of.cpus / host.cores, of.memory / host.memory, of.gpus / host.gpus if host.gpus else 0.0)

        def rank(host: SshHost) -> tuple[bool, float]:
            is_troubled = now < self._troubled.get(host.name, 0.0)
            return is_troubled, -used(host) if self._packs else used(host)

        return sorted((h for h in hosts if h.name not in self._silent and fits(h, share, taken[h.name])), key=rank)

    async def _start(self, line: HostLine, order: Order, share: Share) -> None:
        """Have a host start it. Raises Silent, or NoCapacity where it certainly doesn't."""
        host = line.host
        station = await line.station()
        refuse_clock(host, line.skew)
        try:
            there = await line.bring(local_files(order, host))
        except OSError as error:
            raise NoCapacity(f"{host.name}: {error}") from None
        question = parcel(order, host, share, root=str(station.hello["root"]), there=there, skew=line.skew)
        limits = {"cpus": host.cores, "memory": host.memory, "gpus": host.gpus}
        until = time.time() + line.skew.seconds + LATEST_S
        answer = await line.ask("start", START_WITHIN_S, order=question, limits=limits, until=until)
        if "claimed" not in answer:
            why = answer.get("full") or answer.get("refused") or answer.get("error")
            raise NoCapacity(f"{host.name}: {why}")

    # Looking

    async def observe(self) -> Sequence[ObservedInstance]:
        """Return all instances of this installation on all hosts, the dead of the last days included.

        What runs on a host that doesn't answer is returned as it was when it did, until it must have ended by itself.
        Raises Unavailable only where no host answers at all.
        """
        await self._look_anew()
        now = time.time()
        await self._read_strays(now)
        seen = [one for name in self._lines for one in self._seen_on(name, now)]
        if len(self._silent) == len(self._lines) and not any(one.status is InstanceStatus.STOPPED for one in seen):
            raise Unavailable("; ".join(silent.words for silent in self._silent.values()))
        remembered = {*self._memory.hosts(), *(placed.host for placed in self._strays.values())}
        for name in sorted(remembered - self._lines.keys()):
            on_it = list(self._seen_on(name, now))
            if all(one.stopped_at is not None and one.stopped_at.timestamp() < now - KEPT_S for one in on_it):
                self._memory.forget(name)
                self._known.pop(name, None)
            seen += on_it
        await self._news.tell(seen, self._silent)
        return seen

    async def _look_anew(self) -> None:
        """Ask all hosts at once. Who comes while that goes on waits for a look that begins after they came."""
        if self._looking is not None and not self._looking.done():
            await asyncio.wait([self._looking])
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        await asyncio.gather(*(self._look_at(name) for name in self._lines))

    async def _look_at(self, name: str) -> None:
        known, line = self._of(name), self._lines[name]
        try:
            known.runs = with_crews(await line.look(LOOK_WITHIN_S, self._installation), known.runs)
        except Silent as silent:
            self._silent[name] = silent
            return
        self._silent.pop(name, None)
        known.answered_at, known.skew_s = time.time(), line.skew.seconds
        self._memory.save(name, known)

    def _of(self, name: str) -> Known:
        if name not in self._known:
            known = self._memory.load(name)
            # An older version may have believed more.
            known.runs = {handle: facts for handle, facts in known.runs.items() if not nonsense(facts)}
            self._known[name] = known
        return self._known[name]

    def _seen_on(self, name: str, now: float) -> Iterator[ObservedInstance]:
        known = self._of(name)
        silent = self._silent.get(name) if name in self._lines else Silent(_left(name))
        met: dict[tuple[str, str], float] = {}
        if silent is not None:
            met = {pair: at for of in self._known.values() for pair, at in met_by_schedulers(of)}
            yield from self._unseen_on(name, known, silent, met, now)
        for facts in known.runs.values():
            try:
                one = observed(name, facts, known.skew_s)
            except (KeyError, ValueError, TypeError, ArithmeticError) as error:
                logger.warning("%s says something of a run that makes no sense: %r", name, error)
                continue
            if one.marks.installation != self._installation:
                continue
            if silent is not None:
                met_at = met.get((one.marks.cluster, one.marks.instance), 0.0)
                one = last_seen(one, facts, known.answered_at, met_at, silent.words, now)
            elif one.handle not in self._mourned and never_ran(facts):
                self._mourned.add(one.handle)
                self._troubled[name] = time.monotonic() + TROUBLED_S
            yield one

    def _unseen_on(
        self, name: str, known: Known, silent: Silent, met: Mapping[tuple[str, str], float], now: float
    ) -> Iterator[ObservedInstance]:
        """Yield what a silent host was given after it was last heard."""
        for order, placed in self._strays.items():
            if placed.host != name or order in known.runs or known.answered_at > placed.at + LATEST_S:
                continue
            if placed.marks is not None and placed.marks.installation == self._installation:
                met_at = met.get((placed.marks.cluster, placed.marks.instance), 0.0)
                yield never_seen(order, placed, placed.marks, met_at, silent.words, now)

    async def _read_strays(self, now: float) -> None:
        """Learn what was placed lately: soon again where a host is silent, of which nobody else can say what it has."""
        async with self._reading_strays:  # none may go on without what another is still reading
            if now > self._strays_read_at + (STRAYS_EVERY_S if self._silent else CALM_STRAYS_EVERY_S):
                # There may be thousands of orders, on a disk that may be slow.
                self._strays = await asyncio.to_thread(self._memory.placed_since, now - STRAYS_S)
                self._strays_read_at = now

    # Ending

    async def terminate(self, handles: Sequence[str]) -> None:
        """Ask the keepers to end their processes; each has them killed after 2 s.

        Raises Unavailable where a host doesn't answer; those on others were asked all the same.
        """
        by_host: dict[str, list[str]] = {}
        for handle in handles:
            name, _, order = handle.partition("/")
            if name in self._lines and SAFE.fullmatch(order):
                by_host.setdefault(name, []).append(order)

        async def ask(name: str, orders: list[str]) -> Silent | None:
            try:
                await self._lines[name].ask("end", handles=orders, installation=self._installation)
            except Silent as silent:
                return silent
            return None

        found = await asyncio.gather(*(ask(name, orders) for name, orders in by_host.items()))
        silent = [one.words for one in found if one is not None]
        if silent:
            raise Unavailable("; ".join(silent))

    async def logs(self, handle: str, lines: int) -> Sequence[str]:
        """Return the last lines that it wrote, its software's making included; they stay for days after its end."""
        name, _, order = handle.partition("/")
        if name not in self._lines or not SAFE.fullmatch(order):
            return ()
        try:
            answer = await self._lines[name].ask("tail", handle=order, lines=lines)
        except Silent as silent:
            raise Unavailable(silent.words) from None
        return tuple(str(line) for line in answer.get("lines", ()))

    async def aclose(self) -> None:
        """Close the connections; instances stay. Nobody is poked any more."""
        self._pokes.clear()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*(line.aclose() for line in self._lines.values()))

    def prepare(self) -> None:
        """Forget where orders went that are long over."""
        threading.Thread(target=self._memory.prune, args=(time.time(),), name="tradewind-prune", daemon=True).start()

    def on_change(self, poke: Callable[[], None]) -> None:
        """Call ``poke`` when an instance was claimed, came up or ended, or a host came back."""
        self._pokes.append(poke)

    def _poke(self) -> None:
        for poke in self._pokes:
            poke()


def _left(host: str) -> str:
    return f"{host} isn't among [[ssh.hosts]] of the settings any more, so nobody asks after what it has"
