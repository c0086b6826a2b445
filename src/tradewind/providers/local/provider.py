"""The local provider: schedulers and workers are processes of this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import ClassVar, Self

from tradewind.boot.birth import signal_process
from tradewind.errors import BadRequest, ConfigError, Rejected, Unavailable
from tradewind.host.records import KEPT_FOR, Records, now_utc
from tradewind.host.sweep import sweep
from tradewind.host.task import Task
from tradewind.model.cluster import ClusterSpec
from tradewind.model.instance import InstanceStatus, ObservedInstance
from tradewind.model.offer import Offer
from tradewind.model.resources import Need
from tradewind.providers.base import Capabilities, Handle, Order, Provider, ProviderSettings
from tradewind.providers.local.offers import Machine, Rate, offer_for, this_machine
from tradewind.providers.local.warm import Warm
from tradewind.providers.unsafe import OURS, refuse_from_a_worker, refuse_options


class LocalProvider(Provider):
    """Processes of this machine, forked from one that has Dask loaded already.

    Each Dask process has a keeper beside it, which ends it at its time, at its memory limit, or when asked, with all
    that it started. Keepers don't need this provider: when the caller is gone, they hold on to their limits.

    Needs ``os.fork``: Linux or macOS; on Windows, use WSL.

    Parameters
    ----------
    settings : ProviderSettings
        Options: ``price_per_hour``, of the whole machine (default None: free), and its ``currency`` (default USD).
    machine : Machine, optional
        What there is to share; None is all of this machine.
    """

    name: ClassVar[str] = "local"
    capabilities: ClassVar[Capabilities] = Capabilities(
        same_file_system=True,
        logs_of_the_dead=True,
        self_expiry=True,
        ends_within=timedelta(seconds=3),
        remembers=KEPT_FOR,
        poll_every=timedelta(seconds=1),
    )

    def __init__(self, settings: ProviderSettings, *, machine: Machine | None = None) -> None:
        self._installation = settings.installation
        self._rate = _rate(settings)
        self._machine = machine
        self._records = Records(Path(settings.state_directory).absolute() / "local")
        self._warm = Warm(self._records.root, self._poke)
        self._pokes: list[Callable[[], None]] = []
        self._buried: dict[str, ObservedInstance] = {}
        """The dead don't change: by handle, once their exit is known."""

    @classmethod
    def from_settings(cls, settings: ProviderSettings) -> Self:
        """Return the provider of this machine; starts nothing.

        Raises
        ------
        ConfigError
            Its options can't be used, or this system can't fork (Windows).
        """
        if not hasattr(os, "fork"):
            raise ConfigError("the local provider needs Linux or macOS; on Windows, run Tradewind inside WSL")
        return cls(settings)

    def check(self, spec: ClusterSpec) -> None:
        """Refuse what can't run here.

        Raises
        ------
        BadRequest
            The working directory doesn't exist here, a keyword would undo what makes the cluster safe, or the caller
            is a local instance.
        """
        refuse_from_a_worker()
        directory = spec.working_directory
        if directory is not None and not os.path.isdir(directory):
            raise BadRequest(f"the working directory {directory} isn't on this machine; change to one that exists")
        refuse_options(spec, OURS, "on this machine")

    async def offers(self, need: Need, *, spot: bool = False, region: str | None = None) -> Sequence[Offer]:
        """Return the one offer: a process with its share of this machine. Raises BadRequest for what is too much."""
        if spot:
            return ()
        if self._machine is None:
            self._machine = await asyncio.to_thread(this_machine)
        return (offer_for(need, self._machine, self._rate),)

    async def launch(self, order: Order) -> AsyncIterator[Handle]:
        """Fork one instance; yields once its keeper has claimed the order."""
        marks = order.marks
        try:
            run = self._records.run(marks.order)
            self._records.run(marks.cluster)
        except ValueError as error:
            raise Rejected(str(error)) from None
        await self._warm.launch(await asyncio.to_thread(self._task, order))
        yield Handle(order=marks.order, handle=run.handle)

    def _task(self, order: Order) -> Task:
        ends = [end for end in (order.expires_at, order.boot.expires_at) if end is not None]
        boot = order.boot
        if order.cluster_contact is not None and boot.scheduler_address is None:
            boot = replace(boot, scheduler_address=order.cluster_contact.scheduler)
        self._warm.start()
        return Task(
            root=self._records.root,
            marks=order.marks,
            boot=boot,
            expires_at=min(ends, default=None),
            environ=self._warm.changes(os.environ),
        )

    async def observe(self) -> Sequence[ObservedInstance]:
        """Return all instances of this installation on this machine, the dead of the last days included."""
        return await asyncio.to_thread(self._observe)

    def _observe(self) -> tuple[ObservedInstance, ...]:
        seen = []
        for run in self._records.all_runs():
            found = self._buried.get(run.handle)
            if found is None:
                try:
                    claim = run.claim()
                    if claim is None or claim.marks.installation != self._installation:
                        continue
                    found = run.observe(claim)
                except OSError as error:
                    raise Unavailable(
                        f"the records of local clusters in {run.directory} can't be read: {error}"
                    ) from error
                if found.status is InstanceStatus.STOPPED:
                    if found.stopped_at is None:
                        sweep(run, claim)
                    self._buried[run.handle] = found
            seen.append(found)
        return tuple(seen)

    async def terminate(self, handles: Sequence[str]) -> None:
        """Ask the keepers to end their processes; each has them killed after 2 s."""
        await asyncio.to_thread(self._terminate, handles)

    def _terminate(self, handles: Sequence[str]) -> None:
        for handle in handles:
            try:
                claim = self._records.run(handle).claim()
            except ValueError:
                continue  # never a handle of ours, so it is absent
            if claim is not None and claim.is_alive and claim.marks.installation == self._installation:
                signal_process(claim.pid, claim.birth, signal.SIGTERM)

    async def logs(self, handle: str, lines: int) -> Sequence[str]:
        """Return the last lines that the Dask process wrote; they stay for days after its end."""
        try:
            log = self._records.run(handle).directory / "log"
        except ValueError:
            return ()
        return await asyncio.to_thread(_tail, log, lines)

    async def aclose(self) -> None:
        """End the warm process; instances stay. Nobody is poked any more."""
        self._pokes.clear()
        # In this thread, for milliseconds: where the interpreter is ending, Python 3.12 and later start no other.
        self._warm.close()

    def prepare(self) -> None:
        """Start the warm process, and clear away the long dead."""
        self._warm.start()
        threading.Thread(target=self._records.prune, args=(now_utc(),), name="tradewind-prune", daemon=True).start()

    def on_change(self, poke: Callable[[], None]) -> None:
        """Call ``poke``, from another thread, when an instance was claimed, came up or ended."""
        self._pokes.append(poke)

    def _poke(self) -> None:
        for poke in self._pokes:
            poke()


def _rate(settings: ProviderSettings) -> Rate | None:
    price = settings.options.get("price_per_hour")
    if price is None:
        return None
    try:
        per_hour = Decimal(str(price))
    except InvalidOperation:
        per_hour = Decimal("NaN")
    if not per_hour.is_finite() or per_hour < 0:
        raise ConfigError(f"price_per_hour of the local provider is {price!r}; it must be a number from 0, as 0.25")
    return Rate(per_hour=per_hour, currency=str(settings.options.get("currency", "USD")))


def _tail(path: Path, lines: int) -> tuple[str, ...]:
    """Return the last lines of a file, reading no more of it than 1 KiB for each."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - lines * 1024)
            file.seek(start)
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    found = text.splitlines()
    return tuple((found[1:] if start else found)[-lines:]) if lines > 0 else ()
