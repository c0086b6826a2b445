"""The software of the Python that is running, from what installers wrote down."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tradewind.boot.environment.indexes import Indexes, configured
from tradewind.boot.environment.sources import CondaRecord, Found, Installed, look, normalised
from tradewind.model.environment import OF_THE_CALLER, Environment, Package, Source, seal

ASKED = re.compile(r"^Requires-Dist: *([A-Za-z0-9][\w.-]*) *\[([^\]]+)\]", re.MULTILINE)


def capture(
    *,
    path: Sequence[str] | None = None,
    prefix: str = sys.prefix,
    environ: Mapping[str, str] = os.environ,
    working_directory: Path | None = None,
) -> Environment:
    """Return the caller's Python, platform and packages with where each came from; some 15 ms per hundred packages.

    Metadata alone: nothing is built, hashed or fetched. No password of an index or address is in it.

    Parameters
    ----------
    path : sequence of str, optional
        Where distributions lie; default ``sys.path``.
    prefix : str
        Of the Python; conda's records and pip's settings are in it.
    environ : mapping
        Variables that name indexes, see :func:`tradewind.boot.environment.indexes.configured`.
    working_directory : Path, optional
        Whose project settings count; default the current one.
    """
    found = look(path, prefix)
    indexes = configured(environ=environ, prefix=prefix, working_directory=working_directory)
    return describe(found, indexes, python=platform.python_version(), platform=this_platform())


def describe(found: Found, indexes: Indexes, *, python: str, platform: str) -> Environment:
    """Return what was found as one value.

    What conda brought is conda's, also where it left a ``.dist-info``; what pip then put over it is pip's.
    """
    owned = {name for record in found.conda for name in record.owns}
    of_pip = [one for one in found.installed if one.directory.name not in owned]
    extras = extras_asked(of_pip)
    packages = [_package(one, indexes, extras.get(one.name, ())) for one in of_pip]
    here = {one.directory.name for one in found.installed}
    names = {one.name for one in of_pip}
    packages += [_conda_package(record) for record in found.conda if not _is_replaced(record, here, names)]
    channels = Counter(package.url for package in packages if package.source is Source.CONDA and package.url)
    return seal(
        Environment(
            python=python,
            platform=platform,
            packages=tuple(sorted(packages, key=lambda package: (package.name, package.source.value))),
            content_hash="",
            indexes=tuple(index.url for index in indexes.asked),
            channels=tuple(sorted(channels, key=lambda channel: (-channels[channel], channel))),
        )
    )


def this_platform() -> str:
    """Return the platform of this Python as wheels name it: ``linux-x86_64``, ``macosx-arm64``, ``win-amd64``."""
    system = {"darwin": "macosx", "win32": "win"}.get(sys.platform, sys.platform)
    return f"{system}-{platform.machine().lower()}"


def extras_asked(installed: Iterable[Installed]) -> dict[str, tuple[str, ...]]:
    """Return the extras that a person wrote down, by package: in the projects that are installed from directories.

    Installers don't keep what was typed to them; a project's own requirements are in its metadata.
    """
    extras: dict[str, set[str]] = {}
    for one in installed:
        if one.source not in OF_THE_CALLER:
            continue
        for name in ("METADATA", "requires.txt", "PKG-INFO"):
            try:
                text = (one.directory / name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            for package, words in ASKED.findall(text):
                extras.setdefault(normalised(package), set()).update(normalised(w.strip()) for w in words.split(","))
    return {name: tuple(sorted(words)) for name, words in extras.items()}


def _package(one: Installed, indexes: Indexes, extras: tuple[str, ...]) -> Package:
    return Package(
        name=one.name,
        version=one.version,
        source=one.source,
        url=one.url or indexes.by_package.get(one.name, ""),
        sha256=one.sha256,
        extras=extras,
        is_requested=one.is_requested,
    )


def _conda_package(record: CondaRecord) -> Package:
    return Package(
        name=record.name,
        version=record.version,
        source=Source.CONDA,
        url=record.channel,
        sha256=record.sha256,
        build=record.build,
        subdir=record.subdir,
        is_requested=record.is_requested,
    )


def _is_replaced(record: CondaRecord, here: set[str], names: set[str]) -> bool:
    """Whether pip put another version of the same over it: its own metadata is gone, and pip's is there."""
    return bool(record.owns) and not record.owns & here and normalised(record.name) in names
