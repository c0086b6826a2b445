"""What the fake infrastructure lists, without telling twice what hasn't changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tradewind.model.instance import ObservedInstance
from tradewind.providers.fake.machine import Machine

if TYPE_CHECKING:
    from tradewind.providers.fake.world import FakeWorld


@dataclass(frozen=True, slots=True)
class Line:
    """What is said of one machine, and until when."""

    machine: Machine
    running_at: datetime | None
    observed: ObservedInstance | None
    """None while it isn't listed."""
    until: datetime | None
    """When time alone makes it another; None is never."""

    def holds(self, machine: Machine, running_at: datetime | None, now: datetime) -> bool:
        """Whether it can be said again."""
        is_same = self.machine is machine and self.running_at == running_at
        return is_same and (self.until is None or now < self.until)


class Lists:
    """One installation's list."""

    def __init__(self, world: FakeWorld, installation: str) -> None:
        self._world = world
        self._installation = installation
        self._lines: dict[str, Line] = {}
        self._last: tuple[ObservedInstance, ...] = ()
        self._version = -1
        self._until: datetime | None = None

    def shown(self, machines: Iterable[Machine], version: int, now: datetime) -> tuple[ObservedInstance, ...]:
        """Return what is listed now; the very same tuple where nothing changed.

        ``version`` is another whenever any machine is.
        """
        if version == self._version and (self._until is None or now < self._until):
            return self._last
        is_new = False
        for machine in machines:
            if machine.marks.installation != self._installation:
                continue
            running_at = self._world.running_at(machine)
            line = self._lines.get(machine.handle)
            if line is None or not line.holds(machine, running_at, now):
                self._lines[machine.handle] = self._line(machine, running_at, now)
                is_new = True
        self._version = version
        self._until = min([line.until for line in self._lines.values() if line.until is not None], default=None)
        if is_new:
            self._last = tuple([line.observed for line in self._lines.values() if line.observed is not None])
        return self._last

    def _line(self, machine: Machine, running_at: datetime | None, now: datetime) -> Line:
        end = machine.stopped
        forgotten_at = None
        if end is not None:
            forgotten_at = end.at + self._world.timing.remember if end.remembered else end.at
        is_shown = now >= machine.listed_from and (forgotten_at is None or now < forgotten_at)
        turns = (machine.listed_from, machine.billed_from, running_at, forgotten_at)
        return Line(
            machine=machine,
            running_at=running_at,
            observed=machine.observed(now, running_at) if is_shown else None,
            until=min([at for at in turns if at is not None and at > now], default=None),
        )
