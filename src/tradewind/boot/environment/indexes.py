"""The package indexes that pip and uv are told to ask, and addresses without their secrets."""

from __future__ import annotations

import configparser
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradewind.boot.restore.addresses import PYPI, bare

__all__ = ["PUBLIC", "PYPI", "Index", "Indexes", "bare", "configured", "has_secret", "with_passwords"]

PUBLIC = frozenset({PYPI, "https://pypi.python.org/simple"})
"""Asked by pip and uv unless they are told otherwise; every machine can."""
PARENTS = 10
"""Directories above the working one that are looked at for a project's settings."""
ADDRESS = re.compile(r"(?i)(https?://[^/:]+(:\d+)?(/|$)|https?://\[[0-9a-f:.]+\](:\d+)?(/|$)|file:///|/|[a-z]:[/\\])")
"""What can be an index. Of a list that is split within a password with a space in it, the parts can't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index that is asked."""

    url: str
    """Without a user, a password or a token."""
    needs_password: bool = False

    @property
    def is_public(self) -> bool:
        """Whether it is the one everybody asks."""
        return self.url in PUBLIC and not self.needs_password


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """All that are asked, and which package is asked of which."""

    asked: tuple[Index, ...] = ()
    """The first one first; empty where nothing is set: PyPI then."""
    by_package: Mapping[str, str] = field(default_factory=dict)
    """Normalised name to the address of its index, where the project says it."""

    @property
    def private(self) -> tuple[Index, ...]:
        """Those that not everybody asks."""
        return tuple(index for index in self.asked if not index.is_public)


def has_secret(url: str) -> bool:
    """Return whether somebody else, with the bare address alone, would get less."""
    return bare(url) != url.strip().partition("#")[0]


def configured(
    *, environ: Mapping[str, str] = os.environ, prefix: str = sys.prefix, working_directory: Path | None = None
) -> Indexes:
    """Return the indexes that are set for pip, uv and poetry, in variables and files.

    Takes a millisecond: reads some ten places, most of which aren't there. What can't be read is left out: the tool
    whose file it is complains by itself.
    """
    written = _written(environ, prefix, working_directory)
    found: dict[str, Index] = {}
    for address in written.in_order:
        if ADDRESS.match(url := bare(address).rstrip("/")):
            needs = has_secret(address) or (url in found and found[url].needs_password)
            found[url] = Index(url=url, needs_password=needs)
    addresses = {name: bare(address).rstrip("/") for name, address in written.first if name}
    return Indexes(
        asked=() if all(index.is_public for index in found.values()) else tuple(found.values()),
        by_package={package: addresses[name] for package, name in written.by_name.items() if name in addresses},
    )


def with_passwords(
    *, environ: Mapping[str, str] = os.environ, prefix: str = sys.prefix, working_directory: Path | None = None
) -> dict[str, str]:
    """Return the indexes as they are written, by their bare addresses: for a tool that asks them from here.

    What is returned holds passwords: it is given to the tool alone, and never as an argument.
    """
    written = _written(environ, prefix, working_directory)
    found: dict[str, str] = {}
    for address in written.in_order:
        if ADDRESS.match(url := bare(address).rstrip("/")):
            known = found.setdefault(url, address)
            if has_secret(address) and not has_secret(known):
                found[url] = address
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    first: list[tuple[str, str]] = field(repr=False)
    """Name and address, asked before the default."""
    default: str = field(repr=False)
    last: list[str] = field(repr=False)
    by_name: dict[str, str]
    """Package to the name of its index."""

    @property
    def in_order(self) -> list[str]:
        return [address for address in [*(address for _, address in self.first), self.default, *self.last] if address]


def _written(environ: Mapping[str, str], prefix: str, working_directory: Path | None) -> _Written:
    first: list[tuple[str, str]] = []
    default: list[str] = []  # the first one counts
    last: list[str] = []
    by_name: dict[str, str] = {}

    first += _named(environ.get("UV_INDEX", ""))
    default += [address for _, address in _named(environ.get("UV_DEFAULT_INDEX", ""))]
    default += [environ.get("UV_INDEX_URL", ""), environ.get("PIP_INDEX_URL", "")]
    last += environ.get("UV_EXTRA_INDEX_URL", "").split() + environ.get("PIP_EXTRA_INDEX_URL", "").split()

    directory = working_directory if working_directory is not None else _here()
    for table in _uv_tables(environ, directory):
        for index in _list(table.get("index")):
            address, name = str(index.get("url", "")), str(index.get("name", ""))
            if index.get("default") is True:
                default.append(address)
            else:
                first.append((name, address))
        default.append(str(table.get("index-url", "")))
        last += [str(address) for address in _list_of_text(table.get("extra-index-url"))]
        sources = table.get("sources")
        for package, source in sources.items() if isinstance(sources, dict) else ():
            if isinstance(source, dict) and isinstance(source.get("index"), str):
                by_name[re.sub(r"[-_.]+", "-", package).lower()] = source["index"]

    of_pip = list(_pip_settings(environ, prefix))
    default += [settings["index-url"] for settings in reversed(of_pip) if "index-url" in settings]
    last += [address for settings in of_pip for address in settings.get("extra-index-url", "").split()]

    return _Written(first=first, default=next(filter(None, default), PYPI), last=last, by_name=by_name)


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # somebody removed it
        return Path("/")


def _named(text: str) -> list[tuple[str, str]]:
    """Return uv's ``name=address`` pairs; names may be missing."""
    found = []
    for word in text.split():
        name, equals, address = word.partition("=")
        found.append((name, address) if equals and "/" not in name else ("", word))
    return found


def _uv_tables(environ: Mapping[str, str], directory: Path) -> Iterator[dict[str, Any]]:
    """Yield uv's settings: of the project, of the user, of the machine."""
    if environ.get("UV_NO_CONFIG", "").lower() in {"1", "true", "yes", "on", "t", "y"}:
        return
    if "UV_CONFIG_FILE" in environ:
        yield _toml(Path(environ["UV_CONFIG_FILE"]))
        return
    for parent in [directory, *directory.parents][:PARENTS]:
        if (parent / "uv.toml").is_file():
            yield _toml(parent / "uv.toml")
            break
        if (parent / "pyproject.toml").is_file():
            tool = _toml(parent / "pyproject.toml", having=("tool.uv", "tool.poetry.source")).get("tool")
            if isinstance(tool, dict):
                yield tool["uv"] if isinstance(tool.get("uv"), dict) else {}
                poetry = tool.get("poetry")
                yield {"index": poetry.get("source")} if isinstance(poetry, dict) else {}
            break
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
    if "APPDATA" in environ:
        home = Path(environ["APPDATA"])
    yield _toml(home / "uv" / "uv.toml")
    yield _toml(Path("/etc/uv/uv.toml"))


def _toml(path: Path, having: Iterable[str] = ("",)) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text) if any(word in text for word in having) else {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError):
        return {}


def _list(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _list_of_text(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _pip_settings(environ: Mapping[str, str], prefix: str) -> Iterator[dict[str, str]]:
    """Yield pip's settings, the weakest first: of the machine, of the user, of this Python, of a file that is named."""
    named = environ.get("PIP_CONFIG_FILE", "")
    home = Path(environ.get("HOME", "/"))
    places = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf")]
    places += [home / ".pip" / "pip.conf"]
    places += [Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"]
    if sys.platform == "darwin":
        of_all = Path("/Library/Application Support/pip/pip.conf")
        places = [of_all, home / "Library/Application Support/pip/pip.conf", *places]
    if "APPDATA" in environ:
        places += [Path(environ["APPDATA"]) / "pip" / "pip.ini"]
    places += [Path(prefix) / ("pip.ini" if sys.platform == "win32" else "pip.conf")]
    if named == os.devnull:
        return
    if named:
        places += [Path(named)]
    for place in places:
        # Interpolation off: addresses hold percent signs.
        parser = configparser.RawConfigParser()
        try:
            if not parser.read(place, encoding="utf-8"):
                continue
        except (configparser.Error, UnicodeError, OSError):
            continue
        settings: dict[str, str] = {}
        for section in ("global", "install"):
            if parser.has_section(section):
                settings |= {key.replace("_", "-"): value or "" for key, value in parser.items(section)}
        yield settings
