"""An archive of somebody's code put down as files: what is odd or too much in it is refused before any is written."""

from __future__ import annotations

import errno
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path

MOST_FILES = 50_000
MOST_BYTES = 4 * 2**30
"""Unpacked. Code that travels is far smaller; what a few kilobytes of archive can be blown up to is not."""
MOST_DIRECTORY = 16 * 2**20
"""Bytes of the table of contents, which Python reads in whole before anything can be counted."""
LONGEST_NAME = 255
"""Bytes of each part of a path: what the file systems of Linux hold."""
DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    OverflowError,
    ValueError,
)
"""What Python's reader of archives raises where the bytes make no sense."""
_END, _END_64 = b"PK\5\6", b"PK\6\7"
_END_SIZE, _END_64_SIZE, _LONGEST_COMMENT = 22, 20, 2**16
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class CantTake(RuntimeError):
    """The code can't be put down here; the message is for the user."""


def unpack(path: Path, to: Path, file_name: str) -> None:
    """Write what is in the ZIP at ``path`` into the directory ``to``.

    Parameters
    ----------
    path : Path
        The archive.
    to : Path
        An empty directory.
    file_name : str
        What its sender calls it.

    Raises
    ------
    CantTake
        It is no archive or a damaged one; or something in it is no plain file, would lie elsewhere, is there twice, or
        it is too much. Names the file and the entry.
    OSError
        It can't be written.
    """
    try:
        _check_directory(path, file_name)
        with zipfile.ZipFile(path) as archive:
            check(archive.infolist(), file_name)
            size = sum(entry.file_size for entry in archive.infolist())
            free = shutil.disk_usage(to).free
            if size > free:
                raise CantTake(f"{file_name} has {_mib(size)} unpacked, and {to.parent} has {_mib(free)} left")
            # Of each entry no more is read than it says of itself, and that was added up.
            archive.extractall(to)
    except CantTake:
        raise
    except DAMAGES as error:
        raise CantTake(f"{file_name} is no archive, or a damaged one: {error}") from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # It said of a part that it lies before its own beginning.
        raise CantTake(f"{file_name} is no archive, or a damaged one") from None


def check(entries: list[zipfile.ZipInfo], file_name: str) -> None:
    """Raise CantTake for what isn't written: see :func:`unpack`."""
    if len(entries) > MOST_FILES:
        raise CantTake(f"{file_name} has {len(entries):,} files; {MOST_FILES:,} may travel")
    size = sum(entry.file_size for entry in entries)
    if size > MOST_BYTES:
        raise CantTake(f"{file_name} has {_mib(size)} unpacked; {_mib(MOST_BYTES)} may travel")
    files: set[str] = set()
    directories: set[str] = set()
    for entry in entries:
        if why := _oddity(entry):
            raise CantTake(f"{entry.orig_filename!r:.200} in {file_name} {why}; pack it anew without")
        parts = entry.filename.rstrip("/").split("/")
        directories.update("/".join(parts[:length]) for length in range(1, len(parts) + entry.is_dir()))
        if entry.is_dir():
            continue
        name = "/".join(parts)
        if name in files:
            raise CantTake(f"{name!r:.200} is in {file_name} twice: nobody knows which one is meant")
        files.add(name)
    if both := files & directories:
        raise CantTake(f"{min(both)!r:.200} in {file_name} is a file and a directory at a time")


def _oddity(entry: zipfile.ZipInfo) -> str:
    """Return what is wrong with an entry, as the end of a sentence; empty where nothing is."""
    name = entry.orig_filename
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or "\\" in name or (name[1:2] == ":" and name[:1].isalpha()):
        return "has an absolute name, or one of Windows"
    if any(part in {"", ".", ".."} for part in parts):
        return "has a name that leads elsewhere"
    if not name.isprintable() or any(len(part.encode(errors="replace")) > LONGEST_NAME for part in parts):
        return "has a name that can't be one"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG}:
        return "is a link or a device"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type not in _COMPRESSIONS:
        return "is compressed in a way that isn't read"
    return ""


def _check_directory(path: Path, file_name: str) -> None:
    """Raise CantTake for a table of contents that is too long to be read, BadZipFile where there is none."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - _END_SIZE - _LONGEST_COMMENT - _END_64_SIZE))
        tail = file.read()
    at = len(tail) - _END_SIZE
    if not (tail[at : at + 4] == _END and tail.endswith(b"\0\0")):
        at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_SIZE:
        raise zipfile.BadZipFile("it has no table of contents")
    (size,) = struct.unpack("<L", tail[at + 12 : at + 16])
    is_long = tail[max(0, at - _END_64_SIZE) : at].startswith(_END_64)
    if is_long or size > MOST_DIRECTORY:
        raise CantTake(f"{file_name} has more files than may travel, {MOST_FILES:,}")


def _mib(size: float) -> str:
    return f"{size / 2**20:,.1f} MiB"
