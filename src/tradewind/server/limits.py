"""How much one caller may ask: a bucket of requests that fills again with time, for each token and each address."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

from starlette.types import Scope

from tradewind.errors import TooMany

MOST_KNOWN = 20_000
"""Buckets that are remembered; the least used is forgotten first, and a forgotten one is a full one."""


class Limits:
    """Buckets of requests: ``burst`` at once, ``per_second`` on average.

    A credential has the bucket of its token once it was found good. Until then its address pays: else made-up tokens
    would have as many buckets as they are. One token may be sent in many ways, and has one bucket.
    """

    def __init__(self, per_second: float, burst: int, now: Callable[[], float]) -> None:
        """Start with full buckets; ``now`` gives seconds that only grow."""
        self._interval = 1 / per_second
        self._depth = burst / per_second
        self._now = now
        self._full_at: OrderedDict[bytes, float] = OrderedDict()
        self._good: OrderedDict[bytes, bytes] = OrderedDict()
        """The bucket of each credential that was found good."""

    def take(self, scope: Scope) -> timedelta | None:
        """Take one request out of its bucket; return how long to wait where it is empty, else None."""
        credential = _credential(scope)
        bucket = self._good.get(credential) if credential is not None else None
        key = bucket if bucket is not None else _address(scope)
        now = self._now()
        full_at = max(self._full_at.get(key, now), now)
        wait = full_at + self._interval - now - self._depth
        if wait > 1e-6:  # less is what adding fractions leaves over
            return timedelta(seconds=wait)
        self._full_at[key] = full_at + self._interval
        self._full_at.move_to_end(key)
        while len(self._full_at) > MOST_KNOWN:
            self._full_at.popitem(last=False)
        return None

    def vouch(self, scope: Scope, token_id: str) -> None:
        """Give the credential of this request the bucket of its token: it was found good."""
        credential = _credential(scope)
        if credential is not None:
            self._good[credential] = b"token " + token_id.encode()
            self._good.move_to_end(credential)
            while len(self._good) > MOST_KNOWN:
                self._good.popitem(last=False)


def _credential(scope: Scope) -> bytes | None:
    """Return a hash of what the request signs in with: secrets themselves are kept nowhere."""
    headers = dict(scope["headers"])
    shown = headers.get(b"authorization") or headers.get(b"cookie")
    return None if shown is None else hashlib.sha256(shown).digest()


def _address(scope: Scope) -> bytes:
    client = scope.get("client")
    text = client[0] if client else ""
    if ":" in text:
        with contextlib.suppress(ValueError):
            # Whoever has one IPv6 address has 2^64 of them, and means to be one asker.
            address = ipaddress.IPv6Address(text.partition("%")[0])
            text = str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))
    return b"address " + text.encode()


class Streams:
    """How many answers without an end each user has open on this replica."""

    MOST = 50
    """Of one user: browsers and notebooks of one person have a few."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: dict[str, int] = {}

    def enter(self, user_id: str) -> None:
        """Count one more. Raises TooMany."""
        if self._open.get(user_id, 0) >= self.MOST:
            raise TooMany(
                f"{self.MOST} views and streams of yours wait here already; close some",
                retry_after=timedelta(seconds=5),
            )
        self._open[user_id] = self._open.get(user_id, 0) + 1

    def leave(self, user_id: str) -> None:
        """Count one less."""
        left = self._open.get(user_id, 0) - 1
        if left > 0:
            self._open[user_id] = left
        else:
            self._open.pop(user_id, None)
