"""JSON <-> model. The only file that knows msgspec."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from tradewind.errors import BadRequest
from tradewind.model.status import StatusPage

T = TypeVar("T")

STRING_LIMIT = 25_000
"""Characters; the agent's longest text is a piece of code of 20 000."""
SHORT_STRING_LIMIT = 250
SHORT_STRINGS = frozenset({"id", "name", "address", "status", "prefix", "key", "worker"})
ITEM_LIMITS = {
    "workers": 20_000,
    "computations": 1000,
    "groups": 1000,
    "activity_seconds": 100,
    "code": 20,
    "errors": 100,
}
"""Entries of each list and mapping of a page; what is beyond is left out."""
NUMBER_LIMIT = 2**63 - 1
"""What a database column holds."""
_UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")


def printable(text: str) -> str:
    """Return ``text`` with what can't be printed replaced, as control characters that a terminal would obey."""
    return _UNPRINTABLE.sub("\ufffd", text)


def dump(value: object) -> Any:
    """Return ``value``, a model dataclass, as JSON-ready data: Decimal, datetime and timedelta become text."""
    return msgspec.json.decode(dump_json(value))


def dump_json(value: object) -> str:
    """Return ``value``, a model dataclass, as JSON text.

    Raises
    ------
    BadRequest
        A text in it is none: a path, say, whose bytes are no UTF-8.
    """
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError as error:
        raise BadRequest(f"{error.object!r:.200} isn't text that can be kept: its bytes are no UTF-8") from None


def load(kind: type[T], data: object) -> T:
    """Return the ``kind`` that ``data``, as JSON gives it, describes.

    Raises
    ------
    BadRequest
        It doesn't describe one; the message names the first wrong field.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(_explain(kind, error)) from None


def load_json(kind: type[T], text: str | bytes) -> T:
    """Return the ``kind`` that JSON ``text`` describes; raises as :func:`load` does."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRequest(_explain(kind, error)) from None


def load_texts(kind: type[T], texts: Mapping[str, str]) -> T:
    """Return the ``kind`` that a query string's names and texts describe: ``limit=5`` is a number there.

    Raises as :func:`load` does.
    """
    try:
        return msgspec.convert(texts, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(_explain(kind, error)) from None


def schemas(kinds: Iterable[Any], place: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the JSON schema of each of ``kinds``, and those that they refer to by name.

    Parameters
    ----------
    kinds : iterable of types
        Model dataclasses, and what is made of them.
    place : str
        Where the named ones will stand: ``#/components/schemas/{name}``.
    """
    found, named = msgspec.json.schema_components(kinds, schema_hook=_schema_of, ref_template=place)
    return list(found), named


def _schema_of(kind: type[object]) -> dict[str, Any]:
    if kind is object:
        return {"description": "Any JSON value: an option of Dask, not of ours."}
    raise TypeError(f"{kind.__name__} has no JSON")


def parse_status_page(text: bytes, cluster_id: str) -> StatusPage:
    """Return the page that a scheduler's agent answered with. It comes from where users run their own code.

    What is too long is cut, what can't be printed is replaced, and ``cluster_id`` stands in place of any other.

    Parameters
    ----------
    text : bytes
        JSON; the caller has refused more than 8 MiB.
    cluster_id : str
        Whose page was asked for.

    Raises
    ------
    BadRequest
        A field is missing or of the wrong type, a number is negative or not finite, a time has no zone.
    """
    try:
        page: StatusPage = _tamed(load_json(StatusPage, text), "page")
    except BadRequest as error:
        explained = str(error)[:500]  # it quotes names that a stranger chose
        raise BadRequest(printable(explained)) from None
    return replace(
        page, computations=tuple(replace(computation, cluster_id=cluster_id) for computation in page.computations)
    )


def _tamed(value: Any, name: str) -> Any:
    """Return ``value`` of a page with its texts and lists within their limits; refuse impossible numbers and times."""
    match value:
        case str():
            return printable(value[: SHORT_STRING_LIMIT if name in SHORT_STRINGS else STRING_LIMIT])
        case bool() | None:
            return value
        case int() | float():
            if not math.isfinite(value) or not 0 <= value <= NUMBER_LIMIT:
                raise BadRequest(f"this doesn't describe a StatusPage: {name} is {value!r:.30}, which can't be")
            return value
        case datetime():
            try:
                return _aware(value, name).astimezone(UTC)
            except OverflowError:  # the first and the last day of the calendar, in some zones
                raise BadRequest(f"this doesn't describe a StatusPage: {name} is outside the calendar") from None
        case tuple():
            return tuple(_tamed(item, name) for item in value[: ITEM_LIMITS[name]])
        case dict():
            some = list(value.items())[: ITEM_LIMITS[name]]
            return {_tamed(key, "key"): _tamed(item, name) for key, item in some}
    assert is_dataclass(value)
    assert not isinstance(value, type)
    return replace(value, **{field.name: _tamed(getattr(value, field.name), field.name) for field in fields(value)})


def _aware(value: datetime, name: str) -> datetime:
    if value.tzinfo is None:
        raise BadRequest(f"this doesn't describe a StatusPage: {name} has no time zone")
    return value


def _explain(kind: type[object], error: Exception) -> str:
    return f"this doesn't describe a {kind.__name__}: {error}"
