"""What an address of the advisor leads to: a page, or another address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tradewind.errors import BadRequest

Fields = Mapping[str, Sequence[str]]
"""What stands behind the question mark: several of one name, where several were ticked."""
MOST_FIELDS = 400
"""More than all questions and weights have boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A page: its template, and what that shows."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Leads:
    """To another address of ours."""

    to: str


def read_fields(query: str) -> dict[str, list[str]]:
    """Return what stands behind the question mark; empty fields say nothing and are left out.

    Raises
    ------
    BadRequest
        It can't be read, or says more than any form of ours.
    """
    try:
        pairs = parse_qsl(query, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest("this address can't be read; fill in the form again") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields
