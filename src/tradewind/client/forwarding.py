"""The caller's credentials on their way to a cluster: what goes, when it is renewed, and what is said about it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tradewind.agent.credentials import HAND_OVER
from tradewind.client.door import is_near
from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec

if TYPE_CHECKING:
    from tradewind.boot.credentials.grant import Caller, Grant, Source
    from tradewind.client.api import Engine
    from tradewind.client.door import Place

log = logging.getLogger("tradewind")

LOCAL, MACHINE = "local", "machine"
SHORTEST_S, LONGEST_S = 900, 43200
AGAIN = timedelta(seconds=60)
"""Between two tries of a renewal that failed."""
TAKEN_WITHIN_S = 30.0
"""For the scheduler and all workers to take what is handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What goes to a cluster."""

    sources: tuple[Source, ...] = ()
    is_asked: bool = False
    """Whether the caller named them: then what can't be had is an error, else a warning."""


def policy_from(credentials: Any, duration_seconds: Any, *, shares_home: bool) -> Policy:
    """Return what the keywords ``credentials`` and ``credentials_duration_seconds`` of ``Cluster(…)`` mean.

    Parameters
    ----------
    credentials : str, list of str, bool or None
        "local" takes what cloud sign-ins the caller has, where the cluster doesn't share the caller's home; names take
        these, anywhere; "machine", None, False and an empty list take none.
    duration_seconds : int or None
        Of a session of AWS.
    shares_home : bool
        Whether the cluster's processes find the caller's own files and variables.

    Raises
    ------
    BadRequest
        A name that nobody knows, or a duration that can't be had.
    """
    duration = _duration(duration_seconds)
    if credentials in (None, False, MACHINE) or (credentials in (LOCAL, True) and shares_home):
        return Policy()
    # Only now: most callers forward nothing, and pay nothing for it.
    from tradewind.boot.credentials.sources import CLOUDS, sources_from, with_duration

    if credentials in (LOCAL, True):
        return Policy(sources=with_duration(CLOUDS, duration))
    names = [credentials] if isinstance(credentials, str) else credentials
    if not isinstance(names, list | tuple | set | frozenset):
        raise BadRequest(
            f"credentials={credentials!r} can't be used: write names, such as credentials=['aws', 'MY_TOKEN'], "
            "'machine' for none, or leave it out."
        )
    return Policy(sources=sources_from(list(names), aws_duration=duration), is_asked=True)


def _duration(seconds: Any) -> timedelta | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not SHORTEST_S <= seconds <= LONGEST_S:
        raise BadRequest(
            f"credentials_duration_seconds={seconds!r} can't be used: write {SHORTEST_S} (15 minutes) "
            f"to {LONGEST_S} (12 hours)."
        )
    return timedelta(seconds=seconds)


class Forwarding:
    """Hands one caller's credentials to one cluster, and renews them while this program lives.

    Nothing is kept beside this object but in the memory of the cluster's processes; when this program is gone, nobody
    renews, and what was handed over ends by itself.

    Parameters
    ----------
    name : str
        The cluster's, for what is said.
    policy : Policy
        What goes.
    caller : Caller, optional
        Whose. Default: who runs this process.
    now : callable
        Returns the time.
    """

    def __init__(
        self,
        name: str,
        policy: Policy,
        *,
        caller: Caller | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._name = name
        self._policy = policy
        self._caller = caller
        self._now = now
        self._first: asyncio.Task[dict[str, Grant]] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._grants: dict[str, Grant] = {}
        self._due: dict[str, datetime] = {}
        self._said: set[str] = set()
        self._hand_over: Callable[..., Coroutine[Any, Any, Any]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the cluster has from here."""
        return tuple(sorted(self._grants))

    def check(self) -> None:
        """Raise BadRequest for what was asked for by name and isn't there. Reads no network."""
        if self._policy.is_asked:
            missing = [one.name for one in self._policy.sources if one.find(self._whose()) is None]
            if missing:
                raise BadRequest(
                    f"credentials: {', '.join(missing)} can't be found on this machine: sign in or set the variable "
                    "first, or leave it out. What each one reads is in the guide on credentials."
                )

    def begin(self) -> None:
        """Start to get them, while the cluster starts."""
        if self._policy.sources and self._first is None:
            self._first = asyncio.create_task(self._get_all())

    async def send(self, scheduler: Any, *, attached: bool) -> None:
        """Hand them over, and renew them from now on. Returns when all workers that are there have them.

        Parameters
        ----------
        scheduler : distributed.core.rpc
            The line to it.
        attached : bool
            Whether the cluster was there before us: then it has its starter's, and gets ours only where that was asked.

        Raises
        ------
        CantForward
            What was asked for by name can't be had.
        """
        self._hand_over = getattr(scheduler, HAND_OVER)
        if not self._policy.sources or (attached and not self._policy.is_asked):
            return
        self.begin()
        assert self._first is not None
        grants = await self._first
        if grants:
            await self._give(grants)
            log.info("Cluster %r was handed these credentials: %s.", self._name, ", ".join(sorted(grants)))
        self._renewal = asyncio.create_task(self._renew())

    async def send_variables(self, variables: Mapping[str, str]) -> None:
        """Hand over variables; they stay as long as the cluster."""
        from tradewind.boot.credentials.tokens import as_variables

        for name in variables:
            if not name or "=" in name or "\0" in name + variables[name]:
                raise BadRequest(f"{name!r} can't be a variable: neither '=' nor a NUL can stand in it.")
        grants = {name: as_variables(name, {name: text}, now=self._now()) for name, text in variables.items()}
        await self._give(grants)

    async def stop(self) -> None:
        """Renew no more; what was handed over ends by itself."""
        for task in (self._first, self._renewal):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _get_all(self) -> dict[str, Grant]:
        from tradewind.boot.credentials.grant import CantForward

        grants = {}
        for source in self._policy.sources:
            try:
                if not self._policy.is_asked and source.find(self._whose()) is None:
                    continue
                grants[source.name] = await self._get(source)
            except CantForward as error:
                if self._policy.is_asked:
                    raise
                log.warning("The %s credentials aren't forwarded to cluster %r: %s", source.name, self._name, error)
        return grants

    async def _get(self, source: Source) -> Grant:
        # Files, programs and the network: not on the loop of a notebook.
        return await asyncio.to_thread(source.grant, self._whose(), self._now())

    async def _give(self, grants: Mapping[str, Grant]) -> None:
        from distributed.protocol import to_serialize

        if self._hand_over is None:
            raise BadRequest("this cluster hasn't been started: await it first.")
        async with asyncio.timeout(TAKEN_WITHIN_S):
            # Sealed, so that neither the scheduler nor a log of messages shows what is in it.
            answer = await self._hand_over(grants={name: to_serialize(grant) for name, grant in grants.items()})
        for address, why in answer["failed"].items():
            log.warning("Worker %s has no credentials: %s.", address, why)
        self._grants.update(grants)
        self._due.update({name: at for name, grant in grants.items() if (at := grant.renew_at()) is not None})

    async def _renew(self) -> None:
        sources = {source.name: source for source in self._policy.sources}
        while due := {name: at for name, at in self._due.items() if name in sources}:
            name = min(due, key=lambda one: due[one])
            await asyncio.sleep(max(0.0, (due[name] - self._now()).total_seconds()))
            try:
                await self._give({name: await self._get(sources[name])})
            except Exception as error:
                # Whatever went wrong, it is tried again, and the user has the time that is left to mend it.
                self._warn(name, error)
                self._due[name] = self._now() + AGAIN
            else:
                if name in self._said:
                    self._said.discard(name)
                    log.warning("The %s credentials of cluster %r are renewed again.", name, self._name)

    def _warn(self, name: str, error: Exception) -> None:
        ends = self._grants[name].expires_at
        if name in self._said or ends is None:
            return
        self._said.add(name)
        left = max(0, int((ends - self._now()).total_seconds() // 60))
        why = str(error) or type(error).__name__
        log.warning(
            "The %s credentials of cluster %r end in %d min and can't be renewed: %s It is tried again every minute.",
            *(name, self._name, left, why if why.endswith(".") else f"{why}."),
        )

    def _whose(self) -> Caller:
        from tradewind.boot.credentials.grant import Caller

        if self._caller is None:
            self._caller = Caller.here()
        return self._caller


def forwarding_for(spec: ClusterSpec, given: Mapping[str, Any], place: Place, api: Engine) -> Forwarding:
    """Return what hands over the caller's credentials as the keywords say.

    Parameters
    ----------
    spec : ClusterSpec
        Of the cluster.
    given : mapping
        The keywords of ``Cluster(…)``; ``credentials`` and ``credentials_duration_seconds`` are read.
    place, api : Place, Engine
        Where it will run, and who runs it there.

    Raises
    ------
    BadRequest
        The keywords can't be used, or name what the caller hasn't got.
    """
    shares_home = is_near(place, api, spec.provider)
    policy = policy_from(given["credentials"], given["credentials_duration_seconds"], shares_home=shares_home)
    forwarding = Forwarding(spec.name, policy)
    forwarding.check()
    return forwarding
