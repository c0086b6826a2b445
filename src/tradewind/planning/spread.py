"""When a cluster is really looked at, so that a thousand that began together don't stay together."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta

LONG = timedelta(seconds=2)
"""What is looked at sooner than this is in a hurry."""
SHARE = 0.2
"""Of a wait, at most this is left out."""


def spread(cluster_id: str, now: datetime, at: datetime) -> datetime:
    """Return a moment at or shortly before ``at``, for each cluster at a pace of its own.

    Clusters that were asked for at once would be looked at at once for ever, and whoever asks the server in such a
    moment would wait for all of them. By different paces they drift apart within a minute. Never later than ``at``.

    Parameters
    ----------
    cluster_id : str
        Decides the pace.
    now : datetime
        When the wait begins.
    at : datetime
        When it must be looked at.
    """
    if at - now < LONG:
        return at
    return at - (at - now) * (SHARE * zlib.crc32(cluster_id.encode()) / 2**32)
