"""What the keys of a file's table hold, told before anything reads them: a slip is named, and never met later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

YEARS = range(1990, 2101)
"""What was read, or is valid, in another year is a slip of the hand."""


class Shape(StrEnum):
    """What a key holds; the words stand in messages."""

    TEXT = "text"
    WORDS = 'list of words, as ["one"]'
    DAY = "date, as 2026-11-23"
    FLAG = "true nor false"
    TABLE = "table"
    TABLES = "list of tables"


def misshapen(table: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Iterator[str]:
    """Yield what each key is that isn't of its shape; keys that aren't there are another matter."""
    for key, shape in shapes.items():
        if key in table and not _is(table[key], shape):
            no = "neither" if shape is Shape.FLAG else "no"
            yield f"{key!r} is {shown(table[key])}, which is {no} {shape.value}."


def shown(said: Any) -> str:
    """Return a value of a file for a message: text in quotes, the rest as it was written, none of it long."""
    return f"{said!r:.60}" if isinstance(said, str) else f"{said!s:.60}"


def _is(said: Any, shape: Shape) -> bool:
    match shape:
        case Shape.TEXT:
            return isinstance(said, str)
        case Shape.WORDS:
            return isinstance(said, list) and all(isinstance(word, str) for word in said)
        case Shape.DAY:
            return isinstance(said, date) and not isinstance(said, datetime) and said.year in YEARS
        case Shape.FLAG:
            return isinstance(said, bool)
        case Shape.TABLE:
            return isinstance(said, dict)
        case Shape.TABLES:
            return isinstance(said, list) and all(isinstance(one, dict) for one in said)
