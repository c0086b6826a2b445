"""What the fake infrastructure lists, without telling twice what hasn't changed."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
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

    observed: ObservedInstance | None
    """None while it isn't listed."""
    until: datetime | None
    """When time alone makes it another; None is never."""


class Lists:
    """One installation's list. What hasn't changed is looked at once: there may be twenty thousand."""

    def __init__(self, world: FakeWorld, installation: str, machines: Iterable[str]) -> None:
        self._world = world
        self._installation = installation
        # In order of launch, as the list is.
        self._lines: dict[str, Line] = {}
        self._last: tuple[ObservedInstance, ...] = ()
        self._changed = dict.fromkeys(machines)
        self._turns: list[tuple[datetime, str]] = []
        """When time alone changes a line, soonest first. Too early is no harm; too late would be."""

    def change(self, handle: str) -> None:
        """Something happened to a machine: made, ended, or what it waits for has."""
        self._changed[handle] = None

    def shown(self, machines: Mapping[str, Machine], now: datetime) -> tuple[ObservedInstance, ...]:
        """Return what is listed now; the very same tuple where nothing changed."""
        while self._turns and self._turns[0][0] <= now:
            self._changed[heapq.heappop(self._turns)[1]] = None
        changed, self._changed = self._changed, {}
        is_new = False
        for handle in changed:
            machine = machines[handle]
            if machine.marks.installation != self._installation:
                continue
            before, line = self._lines.get(handle), self._line(machine, self._world.running_at(machine), now)
            self._lines[handle] = line
            if line.until is not None:
                heapq.heappush(self._turns, (line.until, handle))
            is_new = is_new or before is None or before.observed != line.observed
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
            observed=machine.observed(now, running_at) if is_shown else None,
            until=min([at for at in turns if at is not None and at > now], default=None),
        )
