"""Waiting while a cluster's workers are replaced by such with the software that is wanted now.

Who runs the cluster replaces them, whether or not anybody waits; see the planning room. Here it is asked for, told how
far it has come, and taken back where the new software doesn't start at all.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from tradewind.client.session import LOOK_S, Session
from tradewind.errors import SyncError
from tradewind.model.cluster import ClusterStatus
from tradewind.model.environment import Environment
from tradewind.model.instance import Instance, InstanceEnd, Role
from tradewind.model.views import ClusterView

log = logging.getLogger("tradewind")

PATIENCE_S = 900.0
"""Without a step forward for this long nobody waits any more: a machine may have to be made and filled, and an old
worker may have much to hand over."""
TRIES = 3
"""Workers with the new software that end before one of them is up, until it counts as broken."""
SHOWN = 5
FAILED = frozenset({InstanceEnd.DIED, InstanceEnd.VANISHED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How far it has come."""

    behind: tuple[Instance, ...]
    """Workers that exist and have older software, those that leave among them."""
    up: int
    """Workers that have been up with the new one."""
    failed: tuple[Instance, ...]
    """Those that ended before they were up with it."""
    refused: tuple[Instance, ...]
    """Those that the infrastructure had no room for."""


def stand(view: ClusterView, known: frozenset[str] = frozenset()) -> Stand:
    """Return how a view's workers stand to the software that is wanted.

    Parameters
    ----------
    view : ClusterView
        As the cluster was last seen.
    known : frozenset of str
        Ids of instances that had ended before it was asked for: what became of them says nothing.
    """
    wanted = view.cluster.intent.equipment
    workers = [i for i in view.instances if i.role is Role.WORKER and i.id not in known]
    newer = [i for i in workers if i.equipment == wanted]
    return Stand(
        behind=tuple(i for i in workers if wanted and i.equipment != wanted and i.status.is_live),
        up=sum(i.running_at is not None for i in newer),
        failed=tuple(i for i in newer if i.end is InstanceEnd.REJECTED or (i.end in FAILED and i.running_at is None)),
        refused=tuple(i for i in newer if i.end is InstanceEnd.NO_CAPACITY),
    )


async def renew(session: Session, environment: Environment | None, *, compiled: str) -> tuple[str, ...]:
    """Ask for workers with this software, and return the names of those that were replaced, once they are gone.

    Raises
    ------
    SyncError
        The new software doesn't start, or there is no room for a newer worker beside the only one: then the cluster
        is to have what it had. Or it takes too long, or the cluster ended.
    """
    before = await session.look()
    known = frozenset(i.id for i in before.instances if not i.status.is_live)
    await session.api.set_environment(session.record.id, environment, compiled=compiled)
    try:
        return await until_renewed(session, known)
    except _Hopeless as error:
        had = before.cluster
        software = had.environment if environment is not None else None
        await asyncio.shield(
            session.api.set_environment(had.id, software, compiled=had.intent.equipment.partition("+")[2])
        )
        raise SyncError(f"{error} The cluster goes on with the packages that it has.", error.workers) from None


async def until_renewed(session: Session, known: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the names of the workers that have older software, once they are gone; at once where there are none.

    Parameters
    ----------
    session : Session
        Of the cluster.
    known : frozenset of str
        Ids of instances that had ended before.
    """
    view = await session.look()
    first = now = stand(view, known)
    if not first.behind:
        return ()
    name, loop = session.record.name, asyncio.get_running_loop()
    log.info("Replacing %d workers of cluster %r.", len(first.behind), name)
    last_step_at = loop.time()
    while now.behind:
        _refuse_hopeless(view, now)
        if loop.time() - last_step_at > PATIENCE_S:
            raise SyncError(
                f"replacing workers has come no further for {PATIENCE_S:.0f} s: {_names(now.behind)} still have the "
                "software of before, and it goes on without you. What keeps them is in the journal: "
                "cluster.get_logs().",
                tuple(i.id for i in now.behind),
            )
        view = await session.follow(LOOK_S)
        before, now = now, stand(view, known)
        if now.behind != before.behind or now.up != before.up:
            last_step_at = loop.time()
        if len(now.behind) < len(before.behind):
            gone = len(first.behind) - len(now.behind)
            log.info("Cluster %r: %d of %d workers are replaced.", name, max(0, gone), len(first.behind))
    return tuple(sorted(i.id for i in first.behind))


class _Hopeless(SyncError):
    """It will come no further."""


def _refuse_hopeless(view: ClusterView, now: Stand) -> None:
    names = tuple(i.id for i in now.behind)
    if view.cluster.status.rank >= ClusterStatus.STOPPING.rank:
        raise SyncError(f"the cluster ended meanwhile: {view.cluster.stop_detail}.", names)
    if not now.up and (len(now.failed) >= TRIES or any(i.end is InstanceEnd.REJECTED for i in now.failed)):
        words = now.failed[-1].detail or f"exit code {now.failed[-1].exit_code}"
        raise _Hopeless(f"workers with the new software don't start: {words}.", names)
    if now.refused and not now.up and view.cluster.scale.wanted == 1:
        raise _Hopeless(
            f"the one worker can't be replaced, since there is no room for another one beside it: "
            f"{now.refused[-1].detail}. To give up its results for it: cluster.scale(0), sync, then cluster.scale(1).",
            names,
        )


def _names(instances: tuple[Instance, ...]) -> str:
    names = sorted(i.id for i in instances)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if names[SHOWN:] else "")
