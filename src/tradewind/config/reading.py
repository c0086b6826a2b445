"""From a file and from variables to settings."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from tradewind.config.batch import BatchSettings
from tradewind.config.places import config_file
from tradewind.config.settings import Settings
from tradewind.config.sites import read_site
from tradewind.config.size import Size
from tradewind.errors import ConfigError
from tradewind.model.secret import Secret

PREFIX = "TRADEWIND_"
NO_SETTINGS = {
    "TRADEWIND_CACHE_DIR",
    "TRADEWIND_CONFIG_DIR",
    "TRADEWIND_DATA_DIR",
    "TRADEWIND_INSTANCE",
    "TRADEWIND_TOKEN",
}
"""Say where to look, or mark what an instance started, so they are no settings themselves."""


def load_settings(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this user on this machine.

    Parameters
    ----------
    file : Path, optional
        The settings file; absent is fine. Default :func:`config_file`. Sites that it names are looked for beside it.
    environ : mapping, optional
        Default ``os.environ``.

    Raises
    ------
    ConfigError
        A file isn't TOML, a key isn't known, a value can't be used, or a site isn't there; names the place and what
        would do.
    """
    file = file or config_file()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        table = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} isn't valid TOML: {error}. Mend that line or move the file away.") from None
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}. Mend its permissions or move it away.") from None
    variables = os.environ if environ is None else environ
    settings = _layered(table, file, variables, Settings())
    below = _sites(settings, file)
    return _layered(table, file, variables, below) if below is not None else settings


def _layered(table: Mapping[str, object], file: Path, variables: Mapping[str, str], below: Settings) -> Settings:
    """Return ``below`` with what the file says over it, and what variables say over both."""
    settings: Settings = _build(Settings, table, str(file), (), base=below)
    for variable in sorted(variables):
        if variable.startswith(PREFIX) and variable not in NO_SETTINGS:
            path = variable.removeprefix(PREFIX).lower().split("__")
            nested: Any = variables[variable]
            for part in reversed(path):
                nested = {part: nested}
            settings = _build(Settings, nested, f"the variable {variable}", (), base=settings)
    return settings


def _sites(settings: Settings, file: Path) -> Settings | None:
    """Return the defaults with what the sites say that the settings name; None where they name none."""
    found = None
    for one in fields(Settings):
        table = getattr(settings, one.name)
        if isinstance(table, BatchSettings) and table.site:
            there, words = read_site(table.site, one.name, file)
            found = _build(Settings, {one.name: words}, str(there), (), base=found or Settings())
    return found


def read_options(provider: str, given: Mapping[str, object], place: str) -> dict[str, object]:
    """Return those settings of a provider's table that are ``given``, checked and converted as in the settings file.

    Raises
    ------
    ConfigError
        One isn't known, or a value can't be used; names it as being at ``place``, and says what would do.
    """
    kind = typing.get_type_hints(Settings)[provider]
    table = _build(kind, given, place, ())
    return {name: getattr(table, name) for name in given}


CLOCK = re.compile(r"(?:(\d{1,4})-)?(\d{1,4}):([0-5]\d):([0-5]\d)")
"""Days, hours, minutes and seconds. Two numbers alone are minutes to one queue, and hours to another."""


def parse_duration(text: str | float) -> timedelta:
    """Return a duration given as seconds, as text like ``"10 min"``, ``"1h 30m"``, or as queues write ``"1-12:00:00"``.

    Raises
    ------
    ValueError
        It isn't one, or is negative; the message shows what would do.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = float(text)
    elif clock := CLOCK.fullmatch(str(text).strip()):
        days, hours, minutes, rest = (int(part or 0) for part in clock.groups())
        seconds = float(((days * 24 + hours) * 60 + minutes) * 60 + rest)
    else:
        parts = re.findall(r"([0-9.]+)\s*([a-z]*)\s*", str(text).lower().strip())
        units = {"": 1, "s": 1, "ms": 1e-3, "m": 60, "h": 3600, "d": 86400, "w": 604800}
        names = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h", "hr": "h", "day": "d", "week": "w"}
        try:
            if not parts or re.sub(r"[0-9.]+\s*[a-z]*\s*", "", str(text).lower().strip()):
                raise ValueError
            known = {**units, **{name: units[unit] for name, unit in names.items()}}
            seconds = sum(float(number) * known[unit if unit in known else unit.rstrip("s")] for number, unit in parts)
        except (KeyError, ValueError):
            raise ValueError(
                f'{text!r} isn\'t a duration: write seconds, or "90 s", "10 min", "2 hours", "02:00:00"'
            ) from None
    if seconds < 0 or seconds != seconds:
        raise ValueError(f'{text!r} isn\'t a duration: it must not be negative; write "10 min"')
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f'{text!r} is longer than any cluster lives: write "30 days", or "off"') from None


def parse_size(text: str | int) -> Size:
    """Return bytes given as their number or as text like ``"64 GiB"``, ``"500 MB"``.

    Raises
    ------
    ValueError
        It isn't one; the message shows what would do.
    """
    units = {
        "": 1,
        **{f"{p}ib": 1024**n for n, p in enumerate("kmgt", 1)},
        **{f"{p}b": 1000**n for n, p in enumerate("kmgt", 1)},
    }
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", str(text).strip().lower())
    if found is None or found[2] not in units:
        raise ValueError(f'{text!r} isn\'t an amount of memory: write bytes, or "64 GiB"')
    return Size(int(float(found[1]) * units[found[2]]))


def _build(kind: Any, table: Mapping[str, object], place: str, path: tuple[str, ...], base: Any = None) -> Any:
    hints = typing.get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    values = {name: getattr(base, name) for name in known} if base is not None else {}
    for key, value in table.items():
        where = ".".join((*path, key))
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {'.'.join((*path, near[0]))!r}?" if near else f"known are: {', '.join(known)}."
            raise ConfigError(f"{place}: there is no setting {where!r}; {hint}")
        hint_type = hints[key]
        if is_dataclass(hint_type):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{place}: {where!r} is a table; write [{where}] and its settings below.")
            values[key] = _build(hint_type, value, place, (*path, key), base=values.get(key))
        elif typing.get_origin(hint_type) is tuple and is_dataclass(item := typing.get_args(hint_type)[0]):
            values[key] = tuple(_build(item, one, place, (*path, key)) for one in _tables(value, place, where))
        else:
            values[key] = _convert(hint_type, value, f"{place}: {where!r}")
    return kind(**values)


def _tables(value: object, place: str, where: str) -> list[Mapping[str, object]]:
    """Return a list of tables; a variable holds it as JSON."""
    try:
        tables = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        tables = None
    if not isinstance(tables, list) or not all(isinstance(one, Mapping) for one in tables):
        raise ConfigError(f"{place}: {where!r} is a list of tables; write [[{where}]] and its settings below.")
    return tables


def _convert(kind: Any, value: object, place: str) -> object:
    is_union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    options = typing.get_args(kind) if is_union else (kind,)
    if types.NoneType in options and (value is None or (isinstance(value, str) and value.lower() in {"off", "none"})):
        return None
    target = next(option for option in options if option is not types.NoneType)
    try:
        if target is timedelta:
            return parse_duration(value if isinstance(value, int | float) else str(value))
        if target is Size and isinstance(value, str | int) and not isinstance(value, bool):
            return parse_size(value)
        if target is Decimal:
            number = Decimal(str(value))
            if not number.is_finite() or number < 0:
                raise InvalidOperation
            return number
        if target is bool:
            return (
                value if isinstance(value, bool) else {"true": True, "1": True, "false": False, "0": False}[str(value)]
            )
        if target is Secret:
            return Secret(str(value))
        if target is int and not isinstance(value, bool):
            number = Decimal(str(value))
            if number != int(number) or number < 0:
                raise InvalidOperation
            return int(number)
        if target is float and not isinstance(value, bool):
            try:
                return float(str(value))
            except ValueError:
                raise KeyError(value) from None  # Python's own words name no setting that would do.
        if typing.get_origin(target) is tuple:
            # One line of an environment variable is a list with commas.
            items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
            if not isinstance(items, list):
                raise ValueError("a list of texts is needed")
            return tuple(str(item) for item in items if item != "")
        if typing.get_origin(target) is not None:
            if not isinstance(value, Mapping):
                raise ValueError("a table of names and values is needed")
            return {str(name): str(item) for name, item in value.items()}
        if isinstance(value, str):
            return value
        raise ValueError(f"{value!r} isn't text")
    except (KeyError, ValueError, InvalidOperation) as error:
        words = str(error) if type(error) is ValueError else f"{value!r} isn't a {_WORDS.get(target, 'usable value')}"
        raise ConfigError(f"{place}: {words}.") from None


_WORDS = {
    int: "whole number of 0 or more",
    bool: "true or false",
    Decimal: "number of 0 or more, such as 0.12",
    float: "number",
    Size: "number of bytes",
}
