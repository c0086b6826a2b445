"""JSON <-> model. The only file that knows pydantic."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from tradewind.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T")


def _adapter(kind: type[object]) -> TypeAdapter[Any]:
    return _built(cast("Hashable", kind))


@cache
def _built(kind: Any) -> TypeAdapter[Any]:
    """Build once: an adapter for a large class costs tens of milliseconds."""
    return TypeAdapter(kind)


def dump(value: object) -> Any:
    """Return ``value``, a model dataclass, as JSON-ready data: Decimal and datetime become text."""
    return _adapter(type(value)).dump_python(value, mode="json")


def dump_json(value: object) -> str:
    """Return ``value``, a model dataclass, as JSON text."""
    return _adapter(type(value)).dump_json(value).decode()


def load(kind: type[T], data: object) -> T:
    """Return the ``kind`` that ``data`` describes.

    Raises
    ------
    BadRequest
        It doesn't describe one; the message names each wrong field.
    """
    try:
        return cast(T, _adapter(kind).validate_python(data))
    except ValidationError as error:
        raise BadRequest(_explain(kind, error)) from None


def load_json(kind: type[T], text: str | bytes) -> T:
    """Return the ``kind`` that JSON ``text`` describes; raises as :func:`load` does."""
    try:
        return cast(T, _adapter(kind).validate_json(text))
    except ValidationError as error:
        raise BadRequest(_explain(kind, error)) from None


def _explain(kind: type[object], error: ValidationError) -> str:
    wrong = "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg'].lower()}"
        for item in error.errors(include_url=False, include_input=False)[:5]
    )
    return f"this doesn't describe a {getattr(kind, '__name__', kind)}: {wrong}"
