"""A project's folder, read with care: what is too big, odd or elsewhere is told, never followed."""

from __future__ import annotations

import os
import stat
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tradewind.advisor.freedom.finding import Document, Looked, Unread
from tradewind.advisor.freedom.look import is_read, look_at
from tradewind.advisor.freedom.rules import Freedoms
from tradewind.advisor.freedom.weigh import Project
from tradewind.errors import BadRequest

MOST_FILES = 20_000
"""That are listed; a folder with more is a disk, not a project."""
MOST_BYTES = 2 * 2**20
"""Of a file that is read: longer ones are data, or were generated."""
MOST_NOTEBOOK_BYTES = 30 * 2**20
"""Of a notebook, most of which are its pictures."""
MOST_LOCK_BYTES = 20 * 2**20
NOT_OURS = frozenset({"node_modules", "__pycache__", "site-packages", "__pypackages__", "build", "dist", "venv", "env"})
"""Folders of what others wrote, or what is made from the rest."""


def read_project(root: Path, freedoms: Freedoms) -> Project:
    """Return what is found in a folder, or in one file.

    Raises
    ------
    BadRequest
        There is nothing there that could be judged.
    """
    unread: list[Unread] = []
    paths: list[str] = []
    looked: list[Looked] = []
    for path, relative in _files(root, unread):
        paths.append(relative)
        if not is_read(relative):
            continue
        text = _text(path, relative, unread)
        if text is not None:
            looked.append(look_at(Document(path=relative, text=text), freedoms))
    if not looked and not unread:
        raise BadRequest(f"{root} holds no Python, notebook or file of packages; name the folder of a project.")
    return Project(looked=tuple(looked), paths=tuple(paths), unread=tuple(unread), is_whole=root.is_dir())


def read_documents(root: Path) -> tuple[Document, ...]:
    """Return the texts of a project that can be read; what can't be is told by :func:`read_project`."""
    found = ((_text(path, relative, []), relative) for path, relative in _files(root, []) if is_read(relative))
    return tuple(Document(path=relative, text=text) for text, relative in found if text is not None)


def _files(root: Path, unread: list[Unread]) -> Iterator[tuple[Path, str]]:
    """Yield each file with its path within the project, in the same order everywhere."""
    if not root.is_dir():
        yield root, root.name
        return
    count = 0
    # Links to folders aren't followed, so that no loop has no end and nothing outside is read.
    for folder, folders, names in os.walk(root, onerror=lambda error: unread.append(_unlisted(root, error))):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _is_ours(here / name))
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                why = f"it has more than {MOST_FILES:,} files, and the rest wasn't read; name a folder within it"
                unread.append(Unread(path=".", why=why))
                return
            path = here / name
            yield path, path.relative_to(root).as_posix()


def _is_ours(folder: Path) -> bool:
    if folder.name.startswith(".") or folder.name in NOT_OURS or folder.name.endswith(".egg-info"):
        return False
    try:
        return not folder.is_symlink() and not (folder / "pyvenv.cfg").exists() and not (folder / "conda-meta").is_dir()
    except OSError:
        return True  # listing it will say what is wrong


def _text(path: Path, relative: str, unread: list[Unread]) -> str | None:
    """Return what a file holds; None for what isn't read, which is told."""

    def told(why: str) -> None:
        unread.append(Unread(path=relative, why=why))

    most = MOST_NOTEBOOK_BYTES if relative.endswith(".ipynb") else MOST_BYTES
    most = MOST_LOCK_BYTES if relative.endswith((".lock", "conda-lock.yml")) else most
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            told("it is no plain file")
            return None
        if status.st_size > most:
            cure = "; clear its outputs" if relative.endswith(".ipynb") else ""
            told(f"it has {status.st_size / 2**20:,.0f} MiB, and at most {most // 2**20} are read{cure}")
            return None
        with path.open("rb") as file:
            raw = file.read(most + 1)[:most]
            file.seek(0)
            encoding = tokenize.detect_encoding(file.readline)[0] if relative.endswith(".py") else "utf-8-sig"
    except OSError as error:
        told(f"it can't be opened: {error.strerror or error}")
        return None
    except SyntaxError as error:
        told(f"this isn't Python that can be read: {error.msg}")
        return None
    if b"\0" in raw:
        told("it is no text: there are zero bytes in it")
        return None
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        told(f"it is no text in {encoding.removesuffix('-sig')}")
        return None


def _unlisted(root: Path, error: OSError) -> Unread:
    path = Path(error.filename or root)
    where = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return Unread(path=where, why=f"it can't be listed: {error.strerror or error}")
