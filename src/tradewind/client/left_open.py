"""Clusters that a program has open, closed for it when it ends."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from distributed.core import Status

from tradewind.client.door import at_exit
from tradewind.client.session import ENDS_WITHIN_S

if TYPE_CHECKING:
    from tradewind.client.cluster import Cluster

log = logging.getLogger("tradewind")

_open: set[tuple[int, Cluster]] = set()
"""With the process each is of. Not weak: an asynchronous one may be dropped with its event loop, and still costs."""


def remember(cluster: Cluster) -> None:
    """Close it when this process ends."""
    _open.add((os.getpid(), cluster))


def forget(cluster: Cluster) -> None:
    """It was closed."""
    _open.discard((os.getpid(), cluster))


def close_all() -> None:
    """Close what this program left open, before the engine's own exit hook."""
    for pid, cluster in list(_open):
        # A forked child has the object, but neither its loop nor the right to end it: those are its parent's.
        if pid == os.getpid():
            try:
                _close(cluster)
            except Exception as error:  # noqa: BLE001 - the others must be closed too, and nobody is left to catch it
                log.warning("Cluster %r couldn't be closed: %s", cluster.name, error)


def _close(cluster: Cluster) -> None:
    loop: Any = cluster.loop
    if not loop.asyncio_loop.is_closed() and loop.asyncio_loop.is_running():
        if cluster.status is Status.running:
            cluster.close(timeout=ENDS_WITHIN_S)
    elif cluster._shutdown_on_close:
        # Its event loop has ended already, so the engine's own ends it.
        api = cluster._session.api
        api.run(cluster._session.stop("its program ended"))


at_exit(close_all)
