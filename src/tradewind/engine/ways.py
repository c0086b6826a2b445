"""The ways to run a cluster, as their own providers and settings tell of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from typing import Any, get_args, get_type_hints

from tradewind.advisor.freedom.move import Setting, Way
from tradewind.config import Settings
from tradewind.config.meanings import meanings
from tradewind.errors import MissingExtra, NotFound
from tradewind.providers.base import Capabilities
from tradewind.providers.registry import PROVIDERS, find_provider

SERVER = "server"
"""The way through a shared server; what its machines are is the business of its providers."""
PRETENDED = frozenset({"fake"})
"""Nothing is moved to what doesn't exist."""
INNER = frozenset({"list_lag", "remembers", "launches_at_once", "poll_every", "runs_software"})
"""Facts by which the engine goes, and which nobody who moves sees."""


def names() -> tuple[str, ...]:
    """Return the names of all ways, sorted."""
    return tuple(sorted({*PROVIDERS} - PRETENDED | {SERVER}))


def way(name: str, settings: Settings, *, through: str = "") -> Way:
    """Return one way.

    Parameters
    ----------
    name : str
        A provider's, or "server".
    settings : Settings
        Of whoever moves: what is set already needn't be set again.
    through : str, optional
        The provider of a server's clusters; default the one of the settings.

    Raises
    ------
    NotFound
        There is no such way.
    """
    if name not in names():
        raise NotFound(f"there is no way {name!r} to run clusters; there are {', '.join(names())}.")
    provider = (through or settings.provider) if name == SERVER else name
    try:
        can: Capabilities | None = find_provider(provider).capabilities
        missing = ""
    except MissingExtra as error:
        can, missing = None, str(error)
    facts: dict[str, bool | timedelta] = {"is_shared": name == SERVER}
    if can is not None:
        facts |= {one.name: getattr(can, one.name) for one in fields(Capabilities) if one.name not in INNER}
    if name == SERVER:
        # The server's machine is another one, or another user's.
        facts["same_file_system"] = False
        found: tuple[Setting, ...] = (_setting(settings, "server"),)
    else:
        found = tuple(_settings_of(getattr(settings, name, None), name))
    return Way(name=name, facts=facts, settings=found, missing=missing)


def _setting(settings: Settings, name: str) -> Setting:
    return Setting(
        key=name,
        meaning=meanings(Settings)[name],
        is_needed=True,
        is_given=bool(getattr(settings, name)),
    )


def _settings_of(table: Any, path: str) -> Iterator[Setting]:
    """Yield the settings of a provider's table; of a list of tables those of each."""
    if not is_dataclass(table) or isinstance(table, type):
        return
    hints, docs = get_type_hints(type(table)), meanings(type(table))
    for one in fields(table):
        value = getattr(table, one.name)
        item = next(iter(get_args(hints[one.name])), None)
        if isinstance(item, type) and is_dataclass(item):
            inner = meanings(item)
            for below in fields(item):
                if _is_needed(inner[below.name]):
                    meaning = inner[below.name]
                    key = f"{path}.{one.name}[].{below.name}"
                    yield Setting(key=key, meaning=meaning, is_needed=True, is_given=bool(value))
        else:
            meaning = docs[one.name]
            given = value != one.default
            yield Setting(key=f"{path}.{one.name}", meaning=meaning, is_needed=_is_needed(meaning), is_given=given)


def _is_needed(meaning: str) -> bool:
    return "must be given" in meaning
