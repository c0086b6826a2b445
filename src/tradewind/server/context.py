"""What is known about the request under way, for the log: who asks what, by which number."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The request that this code runs for."""

    request_id: str
    user: str | None = None
    workspace: str | None = None
    cluster: str | None = None


current: ContextVar[About | None] = ContextVar("tradewind_request", default=None)


def about(*, user: str | None = None, workspace: str | None = None, cluster: str | None = None) -> None:
    """Add what has become known; None leaves it as it is."""
    before = current.get()
    if before is not None:
        known = {"user": user, "workspace": workspace, "cluster": cluster}
        current.set(replace(before, **{name: value for name, value in known.items() if value is not None}))


def request_id() -> str:
    """Return the number of the request under way, or empty."""
    now = current.get()
    return now.request_id if now is not None else ""
