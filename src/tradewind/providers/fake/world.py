"""The fake infrastructure itself. Several providers may be doors to one world, as several processes are to a cloud."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from tradewind.errors import NoCapacity, Rejected, Unavailable
from tradewind.model.instance import Contact, ObservedInstance, Role
from tradewind.providers.fake import faults as f
from tradewind.providers.fake.agents import FakeAgents
from tradewind.providers.fake.lists import Lists
from tradewind.providers.fake.machine import Billed, End, Machine
from tradewind.providers.fake.sizes import SIZES, Size

if TYPE_CHECKING:
    from tradewind.providers.base import Order


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """Return the time; aware UTC."""


class WallClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the time; aware UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take in a fake world."""

    pending: timedelta = timedelta(0)
    """From a launch to the begin of the bill."""
    starting: timedelta = timedelta(0)
    """From there until Dask is up."""
    stopping: timedelta = timedelta(0)
    """From a terminate to the end; nothing for what is still pending."""
    list_lag: timedelta = timedelta(0)
    """From a launch until the list shows it; promised in ``capabilities``."""
    follow: timedelta = timedelta(seconds=2)
    """From the end of a scheduler to that of the workers that were connected to it."""
    death_timeout: timedelta = timedelta(seconds=60)
    """How long a worker looks for a scheduler that isn't there."""
    remember: timedelta = timedelta(hours=1)
    """How long the list shows the dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that came through some door."""

    at: datetime
    verb: str


LATEST = datetime.max.replace(tzinfo=UTC)


class FakeWorld:
    """What exists, and when it ends.

    Everything here bypasses the providers, so it is the witness in tests: :attr:`machines` is all there ever was,
    :meth:`alive` what exists, :meth:`ledger` what is billed, :attr:`calls` what was asked.

    Parameters
    ----------
    clock : Clock
        The only source of time; nothing happens by itself between two looks, but each look sees everything that was
        due, at the moment it was due.
    sizes : sequence of Size
        What is to let.
    timing : Timing
        How long things take.
    faults : iterable of Fault
        What goes wrong from the beginning.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        sizes: Sequence[Size] = SIZES,
        timing: Timing | None = None,
        faults: Iterable[f.Fault] = (),
    ) -> None:
        self.clock = clock
        self.sizes = tuple(sizes)
        self.timing = timing or Timing()
        self.faults = f.Pile(faults)
        self.calls: list[Call] = []
        self.agents = FakeAgents(self)
        """Answers what the engine asks of schedulers."""
        self._machines: dict[str, Machine] = {}
        self._by_order: dict[tuple[str, str], str] = {}
        self._schedulers: dict[str, str] = {}
        self._by_agent: dict[str, str] = {}
        # What exists, in order of launch, of all clusters and of each: thousands are looked at many times a second.
        self._alive: dict[str, None] = {}
        self._alive_of: dict[str, dict[str, None]] = {}
        self._expected: dict[str, datetime] = {}
        self._ends: list[tuple[datetime, int, str]] = []
        """When to look whether a machine has ended, soonest first. Too early is no harm; too late would be."""
        self._count = itertools.count()
        self._lists: dict[str, Lists] = {}

    @property
    def machines(self) -> Mapping[str, Machine]:
        """All there ever was, by handle, in order of launch."""
        self._settle()
        return self._machines

    def alive(self) -> tuple[Machine, ...]:
        """Return what exists now."""
        self._settle()
        return tuple([self._machines[handle] for handle in self._alive])

    def alive_of(self, cluster: str) -> tuple[Machine, ...]:
        """Return what exists of one cluster now."""
        self._settle()
        return tuple([self._machines[handle] for handle in self._alive_of.get(cluster, ())])

    def find(self, instance: str) -> Machine | None:
        """Return the machine that carries this instance's mark, or None."""
        return next((m for m in self.machines.values() if m.marks.instance == instance), None)

    def scheduler(self, cluster: str) -> Machine | None:
        """Return the newest scheduler of a cluster, dead or alive, or None."""
        self._settle()
        return self._scheduler(cluster)

    def ledger(self, cluster: str | None = None) -> tuple[Billed, ...]:
        """Return every billed interval, by the infrastructure's own clock, of one cluster or of all."""
        now = self.clock.now()
        lines = (machine.billed(now) for machine in self.machines.values() if cluster in {None, machine.marks.cluster})
        return tuple(line for line in lines if line is not None)

    def arm(self, fault: f.Fault) -> None:
        """Let something go wrong from now on; what names an instance that exists strikes it at once."""
        if isinstance(fault, f.InstanceDies | f.InstanceVanishes) and fault.instance is not None:
            machine = self.find(fault.instance)
            if machine is not None:
                self._keep(self._doomed(machine, fault))
                return
        self.faults.add(fault)

    def disarm(self, fault: f.Fault) -> None:
        """Let it go well again; what isn't armed is fine."""
        self.faults.remove(fault)

    def hear(self, verb: str) -> None:
        """Take in a call at the door, or fail as the armed faults say. For providers."""
        now = self.clock.now()
        if self.faults.strike(f.DiesBefore, lambda fault: fault.concerns_call(verb)):
            raise f.ProcessKilled(f"before {verb}")
        if found := self.faults.strike(f.DoesNotAnswer, lambda fault: fault.concerns_call(verb)):
            raise Unavailable(f"fake doesn't answer {verb}: 503", found.retry_after)
        if throttle := self.faults.strike(f.Throttles, lambda fault: fault.concerns_call(verb)):
            recent = [c.at for c in self.calls if throttle.concerns_call(c.verb) and c.at > now - throttle.per]
            if len(recent) >= throttle.calls:
                retry_after = recent[-throttle.calls] + throttle.per - now
                raise Unavailable(f"fake throttles {verb}: {throttle.calls} calls in {throttle.per}", retry_after)
        self.calls.append(Call(at=now, verb=verb))

    def launch(self, order: Order) -> Machine:
        """Return the machine of ``order``, made now unless the same order made it before. For providers."""
        self._settle()
        marks, offer = order.marks, order.offer
        known = self._by_order.get((marks.installation, marks.order))
        if known is not None:
            return self._machines[known]

        def concerns(fault: f.OrderFault) -> bool:
            return fault.concerns(marks, offer.vm_type)

        size = next((s for s in self.sizes if (s.vm_type, s.region) == (offer.vm_type, offer.region)), None)
        if size is None:
            raise Rejected(f"fake says: InvalidSize: there is no {offer.vm_type!r} in {offer.region!r}")
        if refusal := self.faults.strike(f.Rejects, concerns):
            raise Rejected(f"fake says: {refusal.words}")
        if self._is_full(size) or self.faults.strike(f.SaysNoCapacity, concerns):
            raise NoCapacity(f"fake says: InsufficientCapacity: every {offer.vm_type} in {offer.region} is let")

        machine = self._made(order, f"fake-{len(self._machines) + 1:06d}")
        if late := self.faults.strike(f.ListsLate, concerns):
            machine = replace(machine, listed_from=machine.launched_at + late.by)
        if self.faults.strike(f.StaysPending, concerns):
            machine = replace(machine, billed_from=None, up_at=None)
        if self.faults.strike(f.NeverComesUp, concerns):
            machine = replace(machine, up_at=None)
        if death := self.faults.strike(f.InstanceDies, concerns):
            machine = self._doomed(machine, death)
        if loss := self.faults.strike(f.InstanceVanishes, concerns):
            machine = self._doomed(machine, loss)
        self._by_order[(marks.installation, marks.order)] = machine.handle
        self._keep(machine)
        return machine

    def listed(self, installation: str) -> tuple[ObservedInstance, ...]:
        """Return what the list shows to one installation now. For providers."""
        now = self.clock.now()
        machines = self.machines  # lets what is due end first
        if installation not in self._lists:
            self._lists[installation] = Lists(self, installation, machines)
        shown = self._lists[installation].shown(machines, now)
        return shown * 2 if self.faults.strike(f.ListsTwice) else shown

    def end(self, handles: Iterable[str]) -> None:
        """Begin the end of these; what is absent or ending already stays as it is. For providers."""
        self._settle()
        if self.faults.strike(f.IgnoresTerminate):
            return
        now = self.clock.now()
        for handle in handles:
            machine = self._machines.get(handle)
            if machine is not None and machine.is_alive and machine.asked_at is None:
                is_pending = machine.billed_from is None or now < machine.billed_from
                at = now if is_pending else now + self.timing.stopping
                end = End(at=at, exit_code=0, detail="it was told to end")
                self._keep(replace(machine, asked_at=now, ends=(*machine.ends, end)))

    def leave(self, machine: Machine, detail: str) -> None:
        """Let a machine end by itself, orderly, from now on. For agents."""
        now = self.clock.now()
        end = End(at=now + self.timing.stopping, exit_code=0, detail=detail)
        self._keep(replace(machine, retired_at=now, ends=(*machine.ends, end)))

    def reconsider(self, machine: Machine) -> None:
        """Something that ends a machine may come sooner than was known. For agents."""
        end = self._first_end(machine)
        if end is not None and end.at < self._expected.get(machine.handle, LATEST):
            self._expect(machine)

    def running_at(self, machine: Machine) -> datetime | None:
        """Return when Dask counts it in, as far as is known now: a worker waits for its scheduler."""
        if machine.marks.role is Role.SCHEDULER or machine.up_at is None:
            return machine.up_at
        scheduler = self._scheduler(machine.marks.cluster)
        if scheduler is None or scheduler.up_at is None:
            return None
        at = max(machine.up_at, scheduler.up_at)
        return None if scheduler.stopped is not None and scheduler.stopped.at <= at else at

    def reached(self, contact: Contact) -> Machine | None:
        """Return the scheduler that listens at ``contact`` now, or None."""
        self._settle()
        machine = self._machines.get(self._by_agent.get(contact.agent, ""))
        if machine is None or not machine.is_alive or machine.contact != contact:
            return None
        return machine if machine.up_at is not None and self.clock.now() >= machine.up_at else None

    def _is_full(self, size: Size) -> bool:
        if size.capacity is None:
            return False
        let = (self._machines[handle] for handle in self._alive)
        return sum((m.offer.vm_type, m.offer.region) == (size.vm_type, size.region) for m in let) >= size.capacity

    def _made(self, order: Order, handle: str) -> Machine:
        now, timing = self.clock.now(), self.timing
        billed_from = now + timing.pending
        expiry = order.expires_at
        ends = () if expiry is None else (End(at=max(expiry, now), exit_code=0, detail=f"it expired at {expiry}"),)
        return Machine(
            marks=order.marks,
            handle=handle,
            offer=order.offer,
            boot=order.boot,
            launched_at=now,
            billed_from=billed_from,
            up_at=billed_from + timing.starting,
            listed_from=now + timing.list_lag,
            ends=ends,
        )

    def _doomed(self, machine: Machine, fault: f.InstanceDies | f.InstanceVanishes) -> Machine:
        at = self.clock.now() + fault.after
        if isinstance(fault, f.InstanceVanishes):
            end = End(at=at, exit_code=None, detail="", remembered=False)
        else:
            end = End(at=at, exit_code=fault.exit_code, detail=fault.detail)
        return replace(machine, ends=(*machine.ends, end))

    def _scheduler(self, cluster: str) -> Machine | None:
        handle = self._schedulers.get(cluster)
        return None if handle is None else self._machines[handle]

    def _keep(self, machine: Machine) -> None:
        handle, cluster = machine.handle, machine.marks.cluster
        self._machines[handle] = machine
        self._show(handle)
        if machine.is_alive:
            self._alive[handle] = None
            self._alive_of.setdefault(cluster, {})[handle] = None
        self._expect(machine)
        if machine.marks.role is Role.SCHEDULER and machine.contact is not None:
            self._schedulers[cluster] = handle
            self._by_agent[machine.contact.agent] = handle
            self._expect_crew(cluster)

    def _expect(self, machine: Machine) -> None:
        """Look at it again when it will have ended, as far as is known now."""
        end = self._first_end(machine)
        if end is not None:
            heapq.heappush(self._ends, (end.at, next(self._count), machine.handle))
            self._expected[machine.handle] = end.at

    def _show(self, handle: str) -> None:
        for one in self._lists.values():
            one.change(handle)

    def _expect_crew(self, cluster: str) -> None:
        """Look at its workers again: when they run and when they end depends on their scheduler."""
        for handle in self._alive_of.get(cluster, ()):
            self._show(handle)
            if self._machines[handle].marks.role is Role.WORKER:
                self._expect(self._machines[handle])

    def _settle(self) -> None:
        """Let everything end that was due, at the time it was due: schedulers first, since workers follow them."""
        now = self.clock.now()
        while self._ends and self._ends[0][0] <= now:
            due: dict[str, None] = {}
            while self._ends and self._ends[0][0] <= now:
                due[heapq.heappop(self._ends)[2]] = None
            for handle in sorted(due, key=lambda handle: self._machines[handle].marks.role is Role.WORKER):
                machine = self._machines[handle]
                if not machine.is_alive:
                    continue
                end = self._first_end(machine)
                if end is None or end.at > now:
                    self._expect(machine)  # Somebody looked after it meanwhile.
                    continue
                self._machines[handle] = replace(machine, stopped=end)
                self._show(handle)
                del self._alive[handle], self._alive_of[machine.marks.cluster][handle]
                if machine.marks.role is Role.SCHEDULER:
                    self._expect_crew(machine.marks.cluster)

    def _first_end(self, machine: Machine) -> End | None:
        """Return the first thing that ends it, as far as is known now, or None."""
        own = self._orphaned(machine) if machine.marks.role is Role.SCHEDULER else self._lonely(machine)
        return min([*machine.ends, *own], key=lambda end: end.at, default=None)

    def _orphaned(self, machine: Machine) -> Iterable[End]:
        if machine.up_at is None:
            return
        alone_since = max(machine.up_at, self.agents.last_pull.get(machine.handle, machine.up_at))
        patience = timedelta(seconds=machine.boot.orphan_timeout_s)
        yield End(at=alone_since + patience, exit_code=0, detail=f"nobody looked after it for {patience}")
        paid_for_s = machine.boot.paid_for_s
        paid_until = machine.up_at + timedelta(seconds=paid_for_s) if paid_for_s is not None else None
        if machine.handle in self.agents.paid_until:
            paid_until = self.agents.paid_until[machine.handle]
        if paid_until is not None:
            yield End(at=paid_until, exit_code=0, detail="what was set aside for it is spent")

    def _lonely(self, machine: Machine) -> Iterable[End]:
        if machine.up_at is None:
            return
        scheduler = self._scheduler(machine.marks.cluster)
        running_at = self.running_at(machine)
        if running_at is None:
            if scheduler is None or scheduler.stopped is not None or scheduler.up_at is None:
                at = machine.up_at + self.timing.death_timeout
                yield End(at=at, exit_code=1, detail="it found no scheduler")
        elif scheduler is not None and scheduler.stopped is not None:
            yield End(at=scheduler.stopped.at + self.timing.follow, exit_code=0, detail="its scheduler ended")
