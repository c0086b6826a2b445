"""Lists that come a page at a time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from types import UnionType
from typing import Any, TypeAlias, TypeVar

from tradewind.errors import BadRequest

T = TypeVar("T")
Place: TypeAlias = Sequence[datetime | str | int | None]
"""Where something stands in the order of its list: the values it is sorted by, the last of them unique."""


class Page(tuple[T, ...]):
    """Some records of a list, and where the next ones begin."""

    next: str | None
    """Opaque text that the same question with ``cursor`` goes on from; None where there is nothing more."""

    def __new__(cls, items: Sequence[T], next: str | None = None) -> Page[T]:
        """Return a page of ``items``."""
        page = super().__new__(cls, items)
        page.next = next
        return page


def page_of(found: Sequence[T], limit: int, place_of: Callable[[T], Place]) -> Page[T]:
    """Return the first ``limit`` of what was found; the query asked for one more, to know whether there is more."""
    if len(found) <= limit:
        return Page(found)
    shown = found[:limit]
    return Page(shown, cursor(place_of(shown[-1])) if shown else None)


def cursor(place: Place) -> str:
    """Return a place as text for a URL."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in place]
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def place(cursor: str, kinds: tuple[type | UnionType, ...]) -> list[datetime | str | int | None]:
    """Return the values that a cursor stands for, each of its kind; one that isn't ours is a BadRequest."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
        if not isinstance(values, list):
            raise TypeError(values)
        return [_read(value, kind) for value, kind in zip(values, kinds, strict=True)]
    except (ValueError, TypeError, RecursionError):
        raise BadRequest(
            f"the cursor {cursor!r:.100} isn't one that this list gave; leave it out to begin anew"
        ) from None


def _read(value: Any, kind: type | UnionType) -> Any:
    if isinstance(value, str) and not isinstance("", kind):
        value = datetime.fromisoformat(value)
        if value.tzinfo is None:
            raise ValueError(value)
    if not isinstance(value, kind):
        raise TypeError(value)
    return value
