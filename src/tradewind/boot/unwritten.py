"""Files that are on no disk: libraries that read keys from files alone are given one of these."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def unwritten(text: str) -> str | None:
    """Return the path of a file that is in memory alone, for this process, until it ends; None where that can't be.

    It has no name that anybody could list, and only who may read this process's memory may open it. It isn't passed
    on to other programs that this process starts.

    Parameters
    ----------
    text : str
        What is to be read there.
    """
    found = _in_memory(text)
    return found[1] if found is not None else None


@contextmanager
def read_once(text: str) -> Iterator[str]:
    """Give ``text`` as a file while the block runs: in memory where that can be, else in a directory of this user's."""
    found = _in_memory(text)
    if found is not None:
        try:
            yield found[1]
        finally:
            os.close(found[0])
        return
    with TemporaryDirectory(prefix="tradewind-") as directory:
        path = Path(directory, "text")
        path.touch(mode=0o600)
        path.write_text(text)
        yield str(path)


def _in_memory(text: str) -> tuple[int, str] | None:
    if sys.platform != "linux":
        return None
    try:
        number = os.memfd_create("tradewind", os.MFD_CLOEXEC)
    except (AttributeError, OSError):  # an old C library, or a sandbox that forbids it
        return None
    path = f"/proc/self/fd/{number}"
    with open(number, "w", encoding="utf-8", closefd=False) as file:
        file.write(text)
    if os.path.exists(path):
        return number, path
    os.close(number)  # without /proc nobody can open it
    return None
