"""New workers in place of the old ones, a few at a time, while the cluster goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial

from tradewind.client.session import LOOK_S, Session
from tradewind.errors import BadRequest, SyncError
from tradewind.model.cluster import ClusterStatus, Scaling

log = logging.getLogger("tradewind")

COMES_WITHIN_S = 600.0
"""For a new worker to be there; a machine may have to be made and filled first."""
GOES_WITHIN_S = 600.0
"""For an old one to hand over its results and leave."""
SHARE = 10
"""A tenth of the workers goes at a time, and one at least."""


async def replace_workers(session: Session, observed: Callable[[], Collection[str]]) -> tuple[str, ...]:
    """Replace every worker there is, and return their names.

    One more is asked for first, so that there is room for the results of those that leave. What was wanted before is
    wanted again afterwards, also where this fails.

    Parameters
    ----------
    session : Session
        Of the cluster.
    observed : callable
        Returns the names of the workers that are connected.

    Raises
    ------
    SyncError
        New ones don't come, or old ones can't leave; those that are there go on.
    """
    view = await session.look()
    asked = view.cluster.intent.scaling
    old = sorted(session.wanted_workers)
    if not old:
        return ()
    more = 1
    try:
        await session.scale(Scaling.fixed(len(old) + more))
    except BadRequest as error:
        if len(old) == 1:
            raise SyncError(
                f"the one worker can't be replaced, since there is no room for another one beside it: {error} It goes "
                "on with the packages that it has: cluster.scale(0), then scale(1) again, gives up its results.",
                tuple(old),
            ) from None
        more = 0
    hold = Scaling.fixed(len(old) + more)
    log.info("Replacing %d workers of cluster %r.", len(old), session.record.name)
    try:
        gone = 0
        while gone < len(old):
            await _until(partial(_came, observed, old, gone + more), session, COMES_WITHIN_S, old)
            leaving = old[gone : gone + max(1, len(old) // SHARE)]
            gone += len(leaving)
            await session.scale(hold if gone < len(old) or not more else asked, tuple(leaving))
            await _until(partial(_left, observed, leaving), session, GOES_WITHIN_S, leaving)
    finally:
        await asyncio.shield(session.scale(asked))
    return tuple(old)


def _came(observed: Callable[[], Collection[str]], old: Collection[str], count: int) -> bool:
    return len(set(observed()) - set(old)) >= count


def _left(observed: Callable[[], Collection[str]], names: Collection[str]) -> bool:
    return not set(observed()) & set(names)


async def _until(is_so: Callable[[], bool], session: Session, within_s: float, names: Collection[str]) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not is_so():
                view = await session.follow(LOOK_S)
                if view.cluster.status.rank >= ClusterStatus.STOPPING.rank:
                    raise SyncError(f"the cluster ended meanwhile: {view.cluster.stop_detail}.", tuple(sorted(names)))
    except TimeoutError:
        raise SyncError(
            f"replacing workers takes longer than {within_s:.0f} s: {', '.join(sorted(names)[:5])} … still have the "
            "packages of before. What keeps them is in the journal: cluster.get_logs().",
            tuple(sorted(names)),
        ) from None
