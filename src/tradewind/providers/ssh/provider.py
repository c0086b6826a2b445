"""The SSH provider: schedulers and workers are processes of hosts that you may log in to."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Self

from tradewind.config import SshHost
from tradewind.errors import BadRequest, NoCapacity, Rejected, Unavailable
from tradewind.host.bare.ground import VARIABLE
from tradewind.host.records import SAFE
from tradewind.model.cluster import ClusterSpec
from tradewind.model.instance import Contact, InstanceStatus, ObservedInstance, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import Need
from tradewind.providers.base import Capabilities, Handle, Order, Provider, ProviderSettings
from tradewind.providers.ssh.inventory import Share, fits, hosts_from, share_of
from tradewind.providers.ssh.known import Known, Memory
from tradewind.providers.ssh.line import Line
from tradewind.providers.ssh.offers import candidates, offers_for
from tradewind.providers.ssh.parcel import order_for, refusal_of
from tradewind.providers.ssh.refusals import Places, Silent
from tradewind.providers.ssh.sight import handle_of, last_seen, observed, shares

TROUBLED_S = 300.0
"""For how long a host on which something ended before it ran is taken last."""
START_WITHIN_S = 40.0
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
        gpus=True,
        vm_types=True,
        logs_of_the_dead=True,
        self_expiry=True,
        starts_within=timedelta(minutes=2),
        ends_within=timedelta(seconds=5),
        poll_every=timedelta(seconds=1),
    )

    def __init__(self, settings: ProviderSettings) -> None:
        options = settings.options
        self._installation = settings.installation
        self._hosts = hosts_from(options)
        self._packs = options.get("placement") == "pack"
        self._memory = Memory(Path(settings.state_directory).absolute() / "ssh")
        places = Places(
            known_hosts=os.path.expanduser(str(options.get("known_hosts", "~/.ssh/known_hosts"))),
            config=os.path.expanduser(str(options.get("config", "~/.ssh/config"))),
        )
        self._lines = {host.name: Line(host, places, self._poke) for host in self._hosts}
        self._known: dict[str, Known] = {}
        self._silent: dict[str, Silent] = {}
        self._troubled: dict[str, float] = {}
        self._pending: dict[str, Share] = {}
        self._told: dict[tuple[str, str], str] = {}
        """Which scheduler's address each host was told, by host and cluster."""
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
        if VARIABLE in os.environ:
            raise BadRequest(
                "this program is a worker of a cluster itself, and would start clusters without end if a task's "
                "module did: write Cluster(...) below `if __name__ == '__main__':`, or take get_client() in a task"
            )
        ours = {"security", "host", "interface", "protocol", "name", "nanny", "contact_address", "dashboard_address"}
        taken = sorted(ours & {*spec.worker_options, *spec.scheduler_options})
        if taken:
            raise BadRequest(f"{', '.join(taken)} can't be set for clusters on SSH hosts: leave it out")

    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        """Return shares of the hosts; asks none of them. Raises BadRequest for what is too much."""
        return () if spot else offers_for(need, self._hosts)

    # Launching

    async def launch(self, order: Order) -> AsyncIterator[Handle]:
        """Have one instance claimed on a host; yields once its starter has the order."""
        marks = order.marks
        if not SAFE.fullmatch(marks.order) or not SAFE.fullmatch(marks.cluster):
            raise Rejected(f"{marks.order!r} or {marks.cluster!r} is no plain file name, as a run directory needs")
        await self._look_anew()
        bound = self._where(marks.order)
        if bound and marks.order in self._of(bound).runs:
            yield Handle(order=marks.order, handle=handle_of(bound, marks.order))
            return
        share = share_of(order.offer.resources, marks.role)
        fitting = candidates(order.offer, marks.role, self._hosts)
        refusals: list[Silent | str] = []
        for host in self._in_order(fitting, share) if not bound else [h for h in self._hosts if h.name == bound]:
            self._pending[host.name] = self._pending.get(host.name, Share()) + share
            try:
                place = self._memory.place(marks.order, host.name)
                refused = await self._start(next(h for h in self._hosts if h.name == place), order, share)
            except Silent as error:
                if not error.is_certain:
                    # It may have it. Until that is known, nobody else may.
                    raise Unavailable(f"{error}, and it isn't known whether it has started {marks.instance}") from None
                refused = error
            finally:
                self._pending[host.name] -= share
            if refused is None:
                yield Handle(order=marks.order, handle=handle_of(place, marks.order))
                return
            self._memory.unplace(marks.order)
            refusals.append(refused)
        raise refusal_of(order, fitting, refusals, self._silent)

    def _where(self, order: str) -> str:
        """Return the host that has an order, or may have it; empty where none may."""
        has = next((name for name, known in self._known.items() if order in known.runs), "")
        return has or self._memory.place_of(order)

    def _in_order(self, hosts: Sequence[SshHost], share: Share) -> list[SshHost]:
        """Return the hosts with room, in the order to try them."""
        now = time.monotonic()
        taken = {h.name: shares(self._of(h.name).runs) + self._pending.get(h.name, Share()) for h in hosts}

        def used(host: SshHost) -> float:
            of = taken[host.name]
            return max(of.cpus / host.cores, of.memory / host.memory, of.gpus / host.gpus if host.gpus else 0.0)

        def rank(host: SshHost) -> tuple[bool, float]:
            is_troubled = now < self._troubled.get(host.name, 0.0)
            return is_troubled, -used(host) if self._packs else used(host)

        free = [h for h in hosts if h.name not in self._silent and fits(h, share, taken[h.name])]
        return sorted(free, key=rank)

    async def _start(self, host: SshHost, order: Order, share: Share) -> Silent | str | None:
        """Have ``host`` start it; returns why it certainly doesn't, or None. Raises Silent where that isn't known."""
        line = self._lines[host.name]
        try:
            station = await line.station()
            if order.boot.software is not None and host.environment is None:
                local = {k: v for k, v in order.boot.software.files.items() if not v.startswith(("http://", "https://"))}
                there = await line.bring(local) if local else {}
            else:
                there = {}
            question = order_for(order, host, share, root=str(station.hello["root"]), there=there, skew=line.skew)
        except OSError as error:
            return f"{host.name}: {error}"
        answer = await line.ask("start", START_WITHIN_S, order=question, limits=_limits(host))
        if "claimed" in answer:
            return None
        return f"{host.name}: {answer.get('full') or answer.get('refused') or answer.get('error')}"

    # Looking

    async def observe(self) -> Sequence[ObservedInstance]:
        """Return all instances of this installation on all hosts, the dead of the last days included.

        What runs on a host that doesn't answer is returned as it was when it did, until it must have ended by itself.
        Raises Unavailable only where no host at all answers.
        """
        await self._look_anew()
        if len(self._silent) == len(self._hosts) and not self._is_lost():
            raise Unavailable("; ".join(str(silent) for silent in self._silent.values()))
        seen = [one for host in self._hosts for one in self._seen(host.name)]
        await self._announce(seen)
        return seen

    async def _look_anew(self) -> None:
        """Ask all hosts at once; who comes while that goes on waits for a look that begins after."""
        if self._looking is not None:
            await asyncio.wait([self._looking])
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        await asyncio.gather(*(self._look_at(name, line) for name, line in self._lines.items()))

    async def _look_at(self, name: str, line: Line) -> None:
        known = self._of(name)
        try:
            station = await line.station(LOOK_WITHIN_S)
            answer = await line.ask("list", LOOK_WITHIN_S)
        except Silent as silent:
            self._silent[name] = silent
            return
        self._silent.pop(name, None)
        if station is not self._stations.get(name):
            # Another station tells everything anew.
            self._stations[name] = station
            known.runs = {}
        for handle, facts in answer["runs"].items():
            if facts is None:
                known.runs.pop(handle, None)
            else:
                known.runs[handle] = facts
        known.answered_at, known.skew_s = time.time(), line.skew.seconds
        self._memory.save(name, known)
