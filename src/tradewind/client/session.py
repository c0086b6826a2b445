"""One program's hold on one cluster's record. Knows the engine's verbs, and nothing of Dask."""

from __future__ import annotations

import asyncio
import importlib
import logging
from contextlib import suppress
from dataclasses import replace

from tradewind.boot.environment.capture import capture
from tradewind.client.api import Engine
from tradewind.errors import BadRequest, ClusterStartError, NameTaken, ServerError, SignInNeeded, StoreError, TooMany
from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Scaling
from tradewind.model.environment import Environment, seal
from tradewind.model.instance import Contact, Role
from tradewind.model.usage import Receipt
from tradewind.model.views import ClusterView

log = logging.getLogger("tradewind")

LOOK_S = 1.0
"""Seconds between looks where nothing is heard."""
PASSING = (StoreError, ServerError, SignInNeeded, TooMany)
"""What a look may meet while the cluster is well: it is looked again, and who signs in anew meanwhile is heard."""
REST_S = 5.0
"""Seconds between tries while nothing can be seen."""
ENDS_WITHIN_S = 30.0
"""Seconds that an end is waited for; what is left then goes on ending without us."""


class Session:
    """Finds or makes the record, waits for it, changes it, ends it.

    Parameters
    ----------
    api : Engine
        Whoever runs clusters.
    spec : ClusterSpec
        What was asked for; replaced by the record's own where a live cluster of the name was found.
    public_indexes : tuple of str
        Package indexes that machines can ask, besides PyPI.
    streams : bool
        Whether the caller's files come to the cluster from here, since who runs it can't read them.
    """

    def __init__(
        self, api: Engine, spec: ClusterSpec, public_indexes: tuple[str, ...] = (), *, streams: bool = False
    ) -> None:
        self.api = api
        self.spec = spec
        self._public_indexes = public_indexes
        self._streams = streams
        self.to_bring: Environment | None = None
        """The caller's software with its files, where they come to the cluster from here."""
        self.doing = ""
        """What goes on before there is a record, for who waits."""
        self.view: ClusterView | None = None
        """As it was last seen."""
        self.attached = False
        """Whether it was there before us."""
        self._record: Cluster | None = None

    @property
    def record(self) -> Cluster:
        """The record as it was last seen. Raises BadRequest before it was started."""
        if self._record is None:
            raise BadRequest("this cluster hasn't been started: await it first.")
        return self._record

    @property
    def exists(self) -> bool:
        """Whether there is a record."""
        return self._record is not None

    @property
    def contact(self) -> Contact | None:
        """Where its scheduler is; None before it listens and after it has stopped."""
        return self._record.contact if self._record is not None else None

    @property
    def wanted_workers(self) -> frozenset[str]:
        """Names of the workers that are wanted or ordered."""
        instances = self.view.instances if self.view is not None else ()
        return frozenset(i.id for i in instances if i.role is Role.WORKER and i.status.is_live and i.wanted)

    async def find_or_create(self, *, look_for_name: bool, scaling_asked: Scaling | None) -> None:
        """Take the live cluster of the spec's name, or make one.

        Raises
        ------
        NameTaken
            It has been stopping for half a minute, and still is.
        BadRequest
            It can't be had as asked; nothing was started.
        """
        found = await self._found() if look_for_name else None
        if found is None:
            # Shielded, so that whoever interrupts us here still learns the id of what must be ended.
            creation = asyncio.ensure_future(self._create())
            try:
                self._record = await asyncio.shield(creation)
            except asyncio.CancelledError:
                self._record = await creation
                raise
            return
        self._record, self.spec, self.attached = found, found.spec, True
        log.info("Attached to cluster %r, which is %s.", found.name, found.status)
        if scaling_asked is not None and scaling_asked != found.intent.scaling:
            log.warning("Cluster %r is attached to as it is: n_workers is ignored, use .scale().", found.name)

    async def _found(self) -> Cluster | None:
        """Return the cluster that has this name, once the one that had it before has let go of it."""
        found = await self.api.find(self.spec.name)
        if found is None or found.status is not ClusterStatus.STOPPING:
            return found
        log.info("The cluster that was called %r is stopping; waiting for its name.", found.name)
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN_S):
                view = await self.api.view(found.id)
                while view.cluster.status.is_live:
                    view = await self.api.wait_changed(found.id, view.revision, LOOK_S)
                return await self._found()
        raise NameTaken(f"cluster {found.name!r} is still stopping: wait some seconds, or take another name.")

    async def _create(self) -> Cluster:
        if self.spec.software is not None:
            return await self.api.create(self.spec)
        if not self._streams and not self.api.needs_software(self.spec.provider):
            # Reading what is installed takes some milliseconds a hundred packages: not on the loop of a notebook.
            return await self.api.create(self.spec, environment=await asyncio.to_thread(capture))
        planned = await self.api.dry_run(self.spec)
        # Imported by who needs it alone: a local cluster's start is shorter than some imports.
        prepare = importlib.import_module("tradewind.client.software.ready").prepare
        environment: Environment = await asyncio.to_thread(
            prepare,
            self.spec,
            planned,
            self._public_indexes,
            is_streamed=self._streams,
            say=self._say,
            while_building=lambda listed: self.api.expect(self.spec.provider, planned, listed),
        )
        if self._streams:
            environment = await self._left_here(environment)
        return await self.api.create(self.spec, environment=environment)

    async def _left_here(self, environment: Environment) -> Environment:
        """Return software as who runs the cluster is told it: without files that machines can't fetch anywhere."""
        if not environment.artifacts:
            return environment
        deposit = importlib.import_module("tradewind.client.software.depositing").deposit
        if await deposit(self.api, self.spec.provider, environment):
            return environment
        self.to_bring = environment
        return seal(replace(environment, artifacts=()))

    def _say(self, words: str) -> None:
        self.doing = words
        log.info(words)

    async def until_contact(self) -> Contact:
        """Return where its scheduler is, once it listens.

        Raises
        ------
        ClusterStartError
            It ended, or didn't start in time.
        """
        limit = self.record.spec.lifetimes.start
        try:
            async with asyncio.timeout(limit.total_seconds()):
                view = await self.look()
                while view.cluster.contact is None:
                    self.refuse_ended()
                    view = await self.follow(LOOK_S)
        except TimeoutError:
            raise ClusterStartError(
                f"cluster {self.record.name!r} didn't start within {limit}.", self.record.id
            ) from None
        return view.cluster.contact

    def refuse_ended(self) -> None:
        """Raise ClusterStartError if it is ending."""
        if self.record.status.rank >= ClusterStatus.STOPPING.rank:
            why = self.record.stop_detail
            said = f"cluster {self.record.name!r} could not be started: {why}."
            # Where nothing ever ran, nothing was written.
            if self.view is None or any(one.handle for one in self.view.instances):
                said += f" What its processes wrote: `tradewind cluster logs {self.record.name}`."
            raise ClusterStartError(said, self.record.id)

    async def look(self) -> ClusterView:
        """Return how it is now."""
        self.view = await self.api.view(self.record.id)
        self._record = self.view.cluster
        return self.view

    async def look_when_changed(self, timeout_s: float) -> ClusterView:
        """Return how it is, as soon as that differs from the last look, or after ``timeout_s``."""
        revision = self.view.revision if self.view is not None else 0
        self.view = await self.api.wait_changed(self.record.id, revision, timeout_s)
        self._record = self.view.cluster
        return self.view

    async def follow(self, timeout_s: float) -> ClusterView:
        """Return as :meth:`look_when_changed` does; while nothing can be seen, say so once and wait."""
        said = False
        while True:
            try:
                return await self.look_when_changed(timeout_s)
            except PASSING as error:
                if not said:
                    log.warning("What is shown of cluster %r is out of date: %s", self.record.name, error)
                said = True
                await asyncio.sleep(REST_S)

    async def scale(self, scaling: Scaling, dismiss: tuple[str, ...] = ()) -> Scaling:
        """Change how many workers are wanted, and return it."""
        await self.api.scale(self.record.id, scaling, dismiss=dismiss)
        return scaling

    async def stop(self, detail: str) -> None:
        """End it, and wait until everything is gone or half a minute is over."""
        await self.api.stop(self.record.id, detail)
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN_S):
                view = await self.look()
                while view.cluster.status.is_live:
                    view = await self.look_when_changed(LOOK_S)

    async def receipt(self) -> Receipt:
        """Return what it cost up to now."""
        return await self.api.receipt(self.record.id)
