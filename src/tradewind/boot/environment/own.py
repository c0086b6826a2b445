"""The caller's own code as it is now: what a Python imports from directories that people edit."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tradewind.boot.environment.listing import listing
from tradewind.boot.environment.modules import modules, places
from tradewind.boot.environment.sources import look
from tradewind.boot.environment.wheels import installed_files, linked
from tradewind.errors import BadRequest
from tradewind.model.environment import Source

Files = Mapping[str, Path]
"""Where each file lies, by its name as Python sees it: ``package/module.py``."""
EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)
OURS = "tradewind"
"""Runs the cluster itself, and is never changed under it."""


def own_files(
    *,
    path: Sequence[str] | None = None,
    working_directory: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Path]:
    """Return the files of modules, of projects that run where they lie, and of those that were copied from directories.

    Of a name that stands in two places the first counts, as for Python. Files that git ignores don't count.

    Parameters
    ----------
    path : sequence of str, optional
        Default ``sys.path``.
    working_directory : Path, optional
        Default the current one.
    say : callable
        Told in a sentence what is left out.
    """
    found = modules(importing(path, working_directory), say=say)
    taken = {top_of(name) for name in found}
    for one in look(path).installed:
        more: dict[str, Path] = {}
        if one.source is Source.EDITABLE:
            for name, place in linked(one):
                if place.is_file():
                    more[place.name] = place
                else:
                    more |= {f"{name}/{inner}": place / inner for inner in listing(place).names}
        elif one.source is Source.DIRECTORY:
            with suppress(BadRequest):  # without a list of its files it can't be watched; it runs all the same
                more = {name: place for name, place in installed_files(one).items() if ".dist-info/" not in name}
        found |= {name: place for name, place in more.items() if top_of(name) not in taken}
        taken |= {top_of(name) for name in more}
    return {name: place for name, place in found.items() if top_of(name) != OURS}


def importing(path: Sequence[str] | None = None, working_directory: Path | None = None) -> tuple[Path, ...]:
    """Return the directories that people edit and this Python imports from, the first one first."""
    here = (working_directory or Path.cwd()).resolve()
    on_path = {(here / entry).resolve() for entry in (path if path is not None else sys.path)}
    return tuple(place for place in places(path, working_directory) if place in on_path)


def top_of(name: str) -> str:
    """Return the name that an import of this file begins with: ``package`` of ``package/module.py``."""
    return name.partition("/")[0].partition(".")[0]


def digests(files: Files) -> dict[str, str]:
    """Return the sha256 of each file; those that went away meanwhile are left out."""
    found = {}
    for name, place in files.items():
        with suppress(OSError):
            found[name] = hashlib.sha256(place.read_bytes()).hexdigest()
    return found


def digests_in(archives: Iterable[Path]) -> dict[str, str]:
    """Return the sha256 of each file in wheels and ZIPs of modules, by the name that Python will see it under."""
    found: dict[str, str] = {}
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", info.filename)
                if not info.is_dir() and not re.match(r"[^/]+\.(dist-info|data)/", name) and top_of(name) != OURS:
                    found.setdefault(name, hashlib.sha256(archive.read(info)).hexdigest())
    return found


def touched_since(files: Files, moment_s: float) -> frozenset[str]:
    """Return the files that may have changed since a POSIX time: written, or put there by any means."""
    found = set()
    for name, place in files.items():
        with suppress(OSError):
            stat = place.stat()
            # A file that came with an old date (a copy, an archive) has a new inode's time.
            if max(stat.st_mtime, stat.st_ctime) >= moment_s:
                found.add(name)
    return frozenset(found)


def to_load_anew(changed: Collection[str], files: Mapping[str, Callable[[], bytes]]) -> frozenset[str]:
    """Return the modules and packages that must be loaded anew: the changed ones, and all that import those.

    Whole packages: who imports a part of one holds on to its names. Whether one imports another is read from the lines
    of their files, so that imports within functions and by name count as well; a line too many does no harm.

    Parameters
    ----------
    changed : collection of str
        Names of files, those that are gone among them.
    files : mapping
        By name, what returns the content of each file that is there.
    """
    anew = {top_of(name) for name in changed}
    sources: dict[str, list[bytes]] = {}
    for name in files:
        if name.endswith(".py") and top_of(name) not in anew:
            lines = b"\n".join(line for line in files[name]().splitlines() if b"import" in line)
            sources.setdefault(top_of(name), []).append(lines)
    new = anew
    while new:
        words = re.compile(rb"(?<![\w.])(?:" + b"|".join(re.escape(top.encode()) for top in sorted(new)) + rb")(?!\w)")
        new = {top for top in sources.keys() - anew if any(words.search(lines) for lines in sources[top])}
        anew = anew | new
    return frozenset(anew - {OURS})


def refuse_broken(changed: Collection[str], read: Callable[[str], bytes], where: Callable[[str], str]) -> None:
    """Raise BadRequest, naming file and line, for the first changed module that Python can't read."""
    for name in sorted(changed):
        if not name.endswith(".py"):
            continue
        try:
            source = read(name)
        except FileNotFoundError:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(source, where(name), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:  # ValueError: a NUL in it
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            text = (error.text or "").strip() if isinstance(error, SyntaxError) else ""
            said = error.msg if isinstance(error, SyntaxError) else str(error)
            raise BadRequest(
                f"{where(name)}{line}: {said}{f': {text!r}' if text else ''}. Nothing was sent to the cluster; its "
                "tasks go on with the code that they have. Mend it and call sync_environment() again."
            ) from None


def forget_compiled(files: Files, names: Collection[str]) -> None:
    """Remove what Python keeps compiled of these files: it would take it for current, of two saved in one second."""
    for name in names:
        if name.endswith(".py") and name in files:
            with suppress(OSError, ValueError):
                os.unlink(importlib.util.cache_from_source(str(files[name])))
