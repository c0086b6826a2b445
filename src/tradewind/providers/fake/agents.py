"""What answers on the schedulers of the fake infrastructure. No Dask is in it, so a test says what goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypedDict, Unpack

from tradewind.errors import NotFound, Unavailable
from tradewind.model.computation import Computation
from tradewind.model.instance import Contact, Role
from tradewind.model.secret import Secret
from tradewind.model.status import StatusPage, WorkerStatus
from tradewind.providers.fake import faults as f
from tradewind.providers.fake.machine import Machine

if TYPE_CHECKING:
    from tradewind.providers.fake.world import FakeWorld

TARGET_DURATION = timedelta(minutes=3)


class Access(Protocol):
    """What a caller shows to an agent."""

    @property
    def authority(self) -> str:
        """PEM certificate that the agent's own must be signed with."""

    @property
    def token(self) -> Secret:
        """The cluster's own."""


class Doings(TypedDict, total=False):
    """What a test may say of a cluster; see :class:`Scene`."""

    tasks_running: int
    clients: int
    held_results: int
    held_bytes: int
    adaptive_target: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What goes on in one cluster, until a test says otherwise."""

    tasks_running: int = 0
    clients: int = 0
    clients_ever: bool = False
    held_results: int = 0
    held_bytes: int = 0
    adaptive_target: int | None = None
    """Workers that Dask would use; None is one for each task."""
    idle_since: datetime | None = None
    """None is since its scheduler was up."""
    alone_since: datetime | None = None
    """Without a client; None is since its scheduler was up."""
    computations: tuple[tuple[int, Computation], ...] = ()
    """Each with the number of its last change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something an agent was asked to do."""

    at: datetime
    cluster: str
    verb: str
    """retire, say or close."""
    words: str
    """Names of those that left, joined by spaces; the message; the reason."""


class FakeAgents:
    """The agents of all schedulers of one world. Its async verbs are those that the engine asks of real ones."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world
        self._scenes: dict[str, Scene] = {}
        self.told: list[Told] = []
        """What they were asked to do, and did."""
        self.last_pull: dict[str, datetime] = {}
        """When each scheduler's page was last pulled, by handle."""
        self.peeks = 0
        """How often any of them was peeked at."""
        self.paid_until: dict[str, datetime | None] = {}
        """Until when its last pull paid for each scheduler, by handle; None is for ever."""

    def stage(self, cluster: str, **doings: Unpack[Doings]) -> None:
        """Say what a cluster does from now on; what isn't named stays as it was.

        Parameters
        ----------
        cluster : str
            Its id; it needn't exist yet.
        **doings
            ``tasks_running``, ``clients``, ``held_results``, ``held_bytes``, ``adaptive_target``.
            The idle and the lonely seconds of the page follow from them and the clock.
        """
        now = self._world.clock.now()
        before = self._scenes.get(cluster, Scene())
        after = replace(before, **doings)
        self._scenes[cluster] = replace(
            after,
            clients_ever=before.clients_ever or after.clients > 0,
            idle_since=now if before.tasks_running and not after.tasks_running else before.idle_since,
            alone_since=now if before.clients and not after.clients else before.alone_since,
        )

    def compute(self, computation: Computation) -> None:
        """Put a computation on its cluster's page, in place of an older state of it."""
        scene = self._scenes.get(computation.cluster_id, Scene())
        others = tuple((n, c) for n, c in scene.computations if c.id != computation.id)
        number = _cursor(scene) + 1
        self._scenes[computation.cluster_id] = replace(scene, computations=(*others, (number, computation)))

    def page(self, cluster: str, cursor: int = 0) -> StatusPage | None:
        """Return what a cluster's page says now, without renewing its lease; None where nothing is up."""
        now = self._world.clock.now()
        scheduler = self._world.scheduler(cluster)
        if scheduler is None or not scheduler.is_alive or scheduler.up_at is None or now < scheduler.up_at:
            return None
        scene = self._scenes.get(cluster, Scene())
        workers = self._connected(cluster)
        share, rest = divmod(scene.tasks_running, len(workers) or 1)
        target = scene.tasks_running if scene.adaptive_target is None else scene.adaptive_target
        idle_since = max(scheduler.up_at, scene.idle_since or scheduler.up_at)
        alone_since = max(scheduler.up_at, scene.alone_since or scheduler.up_at)
        return StatusPage(
            at=now,
            workers=tuple(_worker(machine, share + (i < rest)) for i, machine in enumerate(workers)),
            tasks_running=scene.tasks_running,
            clients=scene.clients,
            clients_ever=scene.clients_ever,
            no_client_seconds=0.0 if scene.clients else (now - alone_since).total_seconds(),
            idle_seconds=0.0 if scene.tasks_running else (now - idle_since).total_seconds(),
            held_results=scene.held_results,
            held_bytes=scene.held_bytes,
            adaptive_target=target,
            computations=tuple(computation for number, computation in scene.computations if number > cursor),
            cursor=_cursor(scene),
        )

    async def pull(
        self,
        contact: Contact,
        access: Access,
        *,
        cursor: int = 0,
        target_duration: timedelta = TARGET_DURATION,
        paid_for: timedelta | None = None,
        renews: bool = True,
    ) -> StatusPage:
        """Return the status page, and by asking renew the cluster's lease on life, for ``paid_for`` at most.

        Unless it ``renews``, nothing lives longer by it.

        Raises
        ------
        Unavailable
            Nothing listens there, or not to this caller.
        """
        scheduler = self._answering(contact, access)
        # Before: who is told that nothing pays for it any longer answers, and is gone.
        page = self._page_now(scheduler.marks.cluster, contact, cursor)
        if renews:
            now = self._world.clock.now()
            self.last_pull[scheduler.handle] = now
            self.paid_until[scheduler.handle] = None if paid_for is None else now + paid_for
            self._world.reconsider(scheduler)
        return page

    async def peek(
        self, contact: Contact, access: Access, *, target_duration: timedelta = TARGET_DURATION
    ) -> StatusPage:
        """Return the status page without its computations; nothing lives longer by it. Raises as :meth:`pull`."""
        scheduler = self._answering(contact, access)
        self.peeks += 1
        page = self._page_now(scheduler.marks.cluster, contact)
        return replace(page, computations=(), cursor=0)

    async def retire(
        self, contact: Contact, access: Access, *, names: tuple[str, ...] = (), count: int = 0
    ) -> tuple[str, ...]:
        """Let these workers, or the youngest ``count``, leave and end; return who does. Raises as :meth:`pull`."""
        cluster = self._answering(contact, access).marks.cluster
        connected = self._connected(cluster)
        youngest_first = connected[::-1]
        leaving = [m for m in connected if m.marks.instance in names] if names else youngest_first[: max(0, count)]
        gone = tuple(machine.marks.instance for machine in leaving)
        self._note(cluster, "retire", " ".join(gone))
        if not self._world.faults.strike(f.WorkersCling, lambda fault: fault.cluster in {None, cluster}):
            for machine in leaving:
                self._world.leave(machine, "its scheduler let it go")
        return gone

    async def say(self, contact: Contact, access: Access, message: str) -> None:
        """Tell every connected client. Raises as :meth:`pull`."""
        self._note(self._answering(contact, access).marks.cluster, "say", message)

    def forget(self, cluster: str) -> None:
        """Nothing is kept for a caller."""

    async def close(self, contact: Contact, access: Access, reason: str) -> None:
        """Let the scheduler end, and its workers after it. Raises as :meth:`pull`."""
        scheduler = self._answering(contact, access)
        self._note(scheduler.marks.cluster, "close", reason)
        self._world.leave(scheduler, f"it was closed: {reason}")

    def access(self, cluster: str) -> Access:
        """Return what the cluster's own agent accepts, as its scheduler was booted with it. Raises NotFound."""
        scheduler = self._world.scheduler(cluster)
        if scheduler is None:
            raise NotFound(f"no scheduler of cluster {cluster!r} was ever launched in this world")
        return _Shown(authority=scheduler.boot.keys.authority, token=scheduler.boot.agent_token)

    def _answering(self, contact: Contact, access: Access) -> Machine:
        scheduler = self._world.reached(contact)
        if scheduler is None:
            raise Unavailable(f"nothing listens at {contact.agent}: connection refused")
        cluster = scheduler.marks.cluster
        if self._world.faults.strike(f.AgentIsDeaf, lambda fault: fault.cluster in {None, cluster}):
            raise Unavailable(f"the agent at {contact.agent} doesn't answer: timed out")
        if access.authority != scheduler.boot.keys.authority:
            raise Unavailable(f"the agent at {contact.agent} has a certificate of another authority")
        if access.token.reveal() != scheduler.boot.agent_token.reveal():
            raise Unavailable(f"the agent at {contact.agent} says 401: this isn't its token")
        return scheduler

    def _page_now(self, cluster: str, contact: Contact, cursor: int = 0) -> StatusPage:
        page = self.page(cluster, cursor)
        if page is None:
            # By a real clock its end may come between two looks at it.
            raise Unavailable(f"the agent at {contact.agent} ended this very moment: connection reset")
        return page

    def _connected(self, cluster: str) -> Sequence[Machine]:
        now = self._world.clock.now()
        return [
            machine
            for machine in self._world.alive_of(cluster)
            if machine.marks.role is Role.WORKER
            and machine.retired_at is None
            and (at := self._world.running_at(machine)) is not None
            and now >= at
        ]

    def _note(self, cluster: str, verb: str, words: str) -> None:
        self.told.append(Told(at=self._world.clock.now(), cluster=cluster, verb=verb, words=words))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    authority: str
    token: Secret


def _cursor(scene: Scene) -> int:
    return max((number for number, _ in scene.computations), default=0)


def _worker(machine: Machine, processing: int) -> WorkerStatus:
    return WorkerStatus(
        name=machine.marks.instance,
        address=f"tls://{machine.handle}.invalid:40000",
        status="running",
        threads=machine.boot.threads,
        memory_limit=machine.boot.memory,
        memory=machine.boot.memory // 10,
        spilled=0,
        cpu=100.0 * min(processing, machine.boot.threads),
        processing=processing,
    )
