"""What of the user's cache nobody has used for long: files made of projects, and notes on what indexes have."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KEPT_DAYS = 40.0
"""Longer than a cluster of another program lives, of which this one knows nothing; each launch of it counts as use."""
KEPT_BYTES = 5_000_000_000
RECENT_DAYS = 1.0
MARKS = "needed"
"""For each store that a user's programs and servers have, a file with what it needs of the cache they share."""
MARKED_DAYS = 400.0
"""How long a mark counts: of a store that nobody opens any more, nobody needs anything."""
DIRECTORIES = ("artifacts", "built", "known", "translations")


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    path: Path
    used_at: float
    size: int


def used(file: Path) -> None:
    """Let a file of the cache count as used now."""
    with suppress(OSError):  # one that isn't there is told by who needs it
        os.utime(file)


def mark(cache: Path, store: str, needed: Collection[str]) -> None:
    """Write down what a store needs, for whoever prunes next. May be done by several at once. Raises OSError.

    Parameters
    ----------
    cache : Path
        The user's cache directory.
    store : str
        An id of the store.
    needed : collection of str
        Names that stay; they replace those of its mark before.
    """
    file = cache / MARKS / hashlib.sha256(store.encode()).hexdigest()[:32]
    if not needed:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".", delete=False) as draft:
        draft.write("\n".join(sorted(needed)))
    Path(draft.name).replace(file)


def prune(
    cache: Path,
    *,
    needed: Collection[str],
    now: float,
    kept_days: float = KEPT_DAYS,
    kept_bytes: int = KEPT_BYTES,
) -> list[Path]:
    """Remove what nobody used in so many days, then what was used longest ago, beyond so many bytes; return what went.

    Parameters
    ----------
    cache : Path
        The user's cache directory.
    needed : collection of str
        Names that stay, whenever they were used: of artifacts, their sha256. So do those that any store has marked.
    now : float
        POSIX.
    kept_days, kept_bytes : float, int
        Limits; what was used within a day stays in any case.

    Raises
    ------
    OSError
        A mark can't be read; nothing was removed.
    """
    needed = {*needed, *_marked(cache, now)}
    gone, total = [], 0
    for one in sorted(_all(cache), key=lambda one: -one.used_at):
        days = (now - one.used_at) / 86400
        is_old = days > kept_days or total + one.size > kept_bytes
        if is_old and days > RECENT_DAYS and one.path.name not in needed:
            with suppress(OSError):  # whoever owns it may remove it; the rest goes all the same
                _remove(one.path)
                gone.append(one.path)
        else:
            total += one.size
    return gone


def _marked(cache: Path, now: float) -> Iterator[str]:
    for file in sorted((cache / MARKS).glob("*")):
        with suppress(FileNotFoundError):  # another process has just removed or renamed it
            if (now - file.stat().st_mtime) / 86400 > MARKED_DAYS:
                file.unlink()
            else:
                yield from file.read_text().split()


def _all(cache: Path) -> Iterator[_One]:
    for name in DIRECTORIES:
        with suppress(OSError):
            for path in sorted((cache / name).iterdir()):
                with suppress(OSError):  # another process has just removed it
                    facts = [file.lstat() for file in (path, *(path.rglob("*") if path.is_dir() else ()))]
                    yield _One(
                        path=path,
                        used_at=max(one.st_mtime for one in facts),
                        size=sum(one.st_size for one in facts[1:] or facts),
                    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
