"""A door to a fake world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, Self

from tradewind.errors import ConfigError, Unavailable
from tradewind.model.instance import ObservedInstance
from tradewind.model.offer import Offer
from tradewind.model.resources import Need
from tradewind.providers.base import Capabilities, Handle, Order, Provider, ProviderSettings
from tradewind.providers.fake import faults as f
from tradewind.providers.fake.machine import Machine
from tradewind.providers.fake.sizes import offers
from tradewind.providers.fake.world import FakeWorld, Timing, WallClock

_OPTIONS = {
    "pending_s": "pending",
    "latency_s": "starting",
    "stopping_s": "stopping",
    "list_lag_s": "list_lag",
}
_worlds: dict[tuple[str, Timing], FakeWorld] = {}
"""The worlds of this process: a provider made from the same settings later finds what an earlier one launched."""


class FakeProvider(Provider):
    """A door to an infrastructure that exists in memory.

    Parameters
    ----------
    settings : ProviderSettings
        Whose door it is; its options are read by :meth:`from_settings` alone.
    world : FakeWorld
        What it is a door to. Doors to one world stand for processes that use one infrastructure.
    """

    name: ClassVar[str] = "fake"
    capabilities: ClassVar[Capabilities] = Capabilities(
        spot=True,
        regions=True,
        gpus=True,
        vm_types=True,
        logs_of_the_dead=True,
        self_expiry=True,
        software=True,
        runs_software=False,
        poll_every=timedelta(seconds=1),
    )

    def __init__(self, settings: ProviderSettings, *, world: FakeWorld) -> None:
        self._installation = settings.installation
        self._world = world
        lag = world.timing.list_lag
        # Each world has a lag of its own, where a real infrastructure's is a fact for all.
        self.capabilities = replace(  # type: ignore[misc]
            type(self).capabilities,
            list_lag=lag,
            remembers=world.timing.remember,
            starts_within=world.timing.starting,
            ends_within=max(world.timing.stopping, world.timing.follow),
        )

    @classmethod
    def from_settings(cls, settings: ProviderSettings) -> Self:
        """Return a door to this process's world, with the time of this machine.

        Options are seconds: ``pending_s``, ``latency_s`` (from the begin of the bill until Dask is up),
        ``stopping_s``, ``list_lag_s``; default 0. With ``world``, host and port, the world is another process's, which
        has times of its own.

        Raises
        ------
        ConfigError
            An option isn't known, or isn't a number of seconds.
        """
        timing = _timing({name: value for name, value in settings.options.items() if name != "world"})
        if settings.options.get("world") is not None:
            # The only import in a function here: that door is a kind of this one.
            from tradewind.providers.fake.remote import open_remote

            return open_remote(settings, timing)  # type: ignore[return-value]  # whoever asks for a fake gets one
        world = _worlds.setdefault((settings.state_directory, timing), FakeWorld(WallClock(), timing=timing))
        return cls(settings, world=world)

    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        """See :meth:`Provider.offers`."""
        await self._call("offers")
        return offers(self._world.sizes, need, spot=spot, region=region)

    async def launch(self, order: Order) -> AsyncIterator[Handle]:
        """See :meth:`Provider.launch`."""
        await self._call("launch")
        machine = self._world.launch(order)

        def strikes(kind: type[f.OrderFault]) -> bool:
            return self._world.faults.strike(kind, lambda x: x.concerns(order.marks, order.offer.vm_type)) is not None

        if strikes(f.DiesBetweenLaunchAndHandle):
            raise f.ProcessKilled("between launch and handle")
        if strikes(f.LosesAnswerOfLaunch):
            raise Unavailable("fake closed the connection before it answered the launch")
        # Whoever is cancelled here is in the same place as one whose process was killed: it exists, nobody knows.
        await asyncio.sleep(0)
        yield Handle(order=order.marks.order, handle=machine.handle)
        if strikes(f.DiesAfterHandle):
            raise f.ProcessKilled("after handle")

    async def observe(self) -> Sequence[ObservedInstance]:
        """See :meth:`Provider.observe`."""
        await self._call("observe")
        return self._world.listed(self._installation)

    async def terminate(self, handles: Sequence[str]) -> None:
        """See :meth:`Provider.terminate`."""
        await self._call("terminate")
        self._world.end(handles)
        if self._world.faults.strike(f.LosesAnswerOfTerminate):
            raise Unavailable("fake closed the connection before it answered the terminate")
        await asyncio.sleep(0)

    async def logs(self, handle: str, lines: int) -> Sequence[str]:
        """See :meth:`Provider.logs`."""
        await self._call("logs")
        machine = self._world.machines.get(handle)
        written = () if machine is None else self._written(machine)
        return written[-lines:] if lines > 0 else ()

    async def aclose(self) -> None:
        """See :meth:`Provider.aclose`."""

    async def _call(self, verb: str) -> None:
        await asyncio.sleep(0)
        self._world.hear(verb)
        if self._world.faults.strike(f.NeverAnswers, lambda fault: fault.concerns_call(verb)):
            await asyncio.Event().wait()

    def _written(self, machine: Machine) -> tuple[str, ...]:
        now = self._world.clock.now()
        moments = [
            (machine.billed_from, "machine is up"),
            (self._world.running_at(machine), f"{machine.boot.role} {machine.boot.instance_id} is up"),
            (machine.asked_at, "told to end"),
        ]
        end = machine.stopped
        until = now if end is None else end.at
        written = [(at, text) for at, text in moments if at is not None and at <= until]
        if end is not None:
            written.append((end.at, f"ended with {end.exit_code}: {end.detail}"))
        return tuple(f"{at.isoformat()} {text}" for at, text in written)


def _timing(options: Mapping[str, object]) -> Timing:
    given: dict[str, timedelta] = {}
    for option, value in options.items():
        if option not in _OPTIONS:
            raise ConfigError(f"fake has no option {option!r}; known are: {', '.join(_OPTIONS)}.")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise ConfigError(f"fake: {option!r} is a number of seconds, 0 or more, not {value!r}.")
        given[_OPTIONS[option]] = timedelta(seconds=value)
    return Timing(**given)
