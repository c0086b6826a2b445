"""Importable files that belong to no package: those of the working directory and of ``PYTHONPATH``."""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tradewind.boot.environment.listing import Listing, is_leaving, listing
from tradewind.errors import BadRequest

SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES)
MOST_FILES = 5_000
"""In a directory without git that is no package: who has more keeps data there."""
TOP_ONLY = frozenset({"Desktop", "Documents", "Downloads", "tmp"})
"""Directories where people start Python and keep everything: of these, only files and packages right there count."""


def modules(
    places: Iterable[Path],
    *,
    without: Callable[[Path, str], bool] = lambda place, name: False,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Path]:
    """Return what can be imported from ``places``, by its name below the one directory where it will lie.

    Of a name that stands in two places the first counts, as for Python; packages without ``__init__.py`` come together.

    Parameters
    ----------
    places : iterable of Path
        Directories, the first one first.
    without : callable
        Of a place and a name in it: whether that travels otherwise.
    say : callable
        Told in a sentence what is left out.
    """
    found: dict[str, Path] = {}
    whole: set[str] = set()  # packages that are complete: nothing of another place may come into them
    for place in places:
        seen = _seen_by_git(place)
        for name, path in _importable(place, seen, say):
            if without(place, name):
                continue
            is_package = path.is_dir()
            key = name if is_package else name.partition(".")[0]
            if key in whole:
                continue
            if not is_package:
                found.setdefault(name, path)
                whole.add(key)
                continue
            is_regular = (path / "__init__.py").is_file()
            try:
                files = _files(path, seen)
            except BadRequest as error:
                if is_regular:
                    raise
                say(f"left out of what travels: {error}")
                continue
            for inner in files:
                found.setdefault(f"{name}/{inner}", path / inner)
            if is_regular:
                whole.add(key)
    return found


def places(
    path: Sequence[str] | None = None, working_directory: Path | None = None, linked: Collection[Path] = ()
) -> tuple[Path, ...]:
    """Return the directories whose modules belong to no distribution: the working one first, then of ``path``.

    Parameters
    ----------
    path : sequence of str, optional
        Default ``sys.path``.
    working_directory : Path, optional
        Default the current one.
    linked : collection of Path
        Directories whose content belongs to distributions: where those lie, and what ``.pth`` files name.
    """
    here = (working_directory if working_directory is not None else Path.cwd()).resolve()
    found = [here]
    of_python = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    of_python |= {Path(place).resolve() for place in [site.getusersitepackages(), *site.getsitepackages()]}
    prefixes = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)}
    commands = {Path(sysconfig.get_path("scripts")).resolve(), Path(sys.executable).parent}
    for entry in path if path is not None else sys.path:
        one = (here / entry).resolve()
        if not one.is_dir() or one in of_python or one in linked or one in commands or one.name.startswith("."):
            continue
        if one.name in {"site-packages", "dist-packages", "lib-dynload"} or one.parent in of_python:
            continue
        if any(one == prefix / part for prefix in prefixes for part in ("", "bin", "Scripts", "lib", "DLLs")):
            continue
        found.append(one)
    return tuple(dict.fromkeys(found))


def linked_by(packages: Iterable[Path]) -> frozenset[Path]:
    """Return the directories that the ``.pth`` files of ``packages``, site directories, put on the path."""
    found = set()
    for directory in packages:
        for file in directory.glob("*.pth"):
            try:
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            found |= {(directory / line).resolve() for line in lines if line and not line.startswith(("import", "#"))}
    return frozenset(found)


def name_of(files: Mapping[str, Path]) -> str:
    """Return the name of the archive of ``files``: another content, another name."""
    found = hashlib.sha256()
    for name in sorted(files):
        content = hashlib.sha256(files[name].read_bytes()).hexdigest()
        found.update(f"{name}\0{content}\0".encode(errors="surrogateescape"))
    return f"modules-{found.hexdigest()[:16]}.zip"


def _is_heap(place: Path) -> bool:
    return place in {Path.home(), Path(place.anchor)} or place.name in TOP_ONLY


def _importable(place: Path, seen: Listing | None, say: Callable[[str], None]) -> Iterator[tuple[str, Path]]:
    """Yield files and directories of ``place`` that an import statement can name."""
    tops = {name.partition("/")[0] for name in seen.names} if seen is not None else None
    try:
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
    except OSError as error:
        say(f"{place} stands on the path of modules and can't be read: {error.strerror}")
        return
    for entry in entries:
        if is_leaving(place, entry.name) or (tops is not None and entry.name not in tops):
            continue
        path = Path(entry.path)
        if entry.is_file() and entry.name.endswith(SUFFIXES) and entry.name.partition(".")[0].isidentifier():
            yield entry.name, path
        elif entry.is_dir() and entry.name.isidentifier():
            is_regular = (path / "__init__.py").is_file()
            if is_regular or (not _is_heap(place) and _has_modules(path)):
                yield entry.name, path


def _seen_by_git(place: Path) -> Listing | None:
    """Return the files of ``place`` that git sees; None without git, and of what is too big to ask about."""
    if _is_heap(place):
        return None
    try:
        found = listing(place, most=0)
    except BadRequest:
        return None
    return found if found.by_git else None


def _has_modules(directory: Path) -> bool:
    """Whether modules lie in it or right below: it is a package without ``__init__.py``, not a heap of data."""
    try:
        inner = list(os.scandir(directory))
    except OSError:
        return False
    if any(entry.name.endswith(".py") for entry in inner):
        return True
    return any((Path(entry.path) / "__init__.py").is_file() for entry in inner if entry.name.isidentifier())


def _files(package: Path, seen: Listing | None) -> Sequence[str]:
    """Return the files of a package: all of one with ``__init__.py``, modules alone of one without."""
    is_regular = (package / "__init__.py").is_file()
    if seen is None:
        found = listing(package, most=MOST_FILES).names
    else:  # git was asked once, for all packages that lie there
        start = f"{package.name}/"
        found = tuple(name.removeprefix(start) for name in seen.names if name.startswith(start))
    names = [name for name in found if not _is_hidden(name)]
    return names if is_regular else [name for name in names if name.endswith(SUFFIXES)]


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in name.split("/"))
