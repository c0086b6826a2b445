"""Where the store's file stands, and who can reach it there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tradewind.errors import StoreError

NETWORK_FILE_SYSTEMS = frozenset(
    [
        "afs",
        "afpfs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "sshfs",
        "wekafs",
        "webdav",
    ]
)
"""Kinds that several machines write to at once, by the name a mount table gives; with or without "fuse." before."""


class Mount(Protocol):
    """A line of the mount table."""

    @property
    def mountpoint(self) -> str:
        """Directory it begins at."""

    @property
    def fstype(self) -> str:
        """Kind of the file system."""


def is_on_network(place: Path, mounts: Iterable[Mount]) -> bool:
    """Whether other machines may write to ``place`` too; where the mount table doesn't say, it is local."""
    directories = {place.resolve(), *place.resolve().parents}
    holding = [mount for mount in mounts if Path(mount.mountpoint) in directories]
    if not holding:
        return False
    # Of two mounts on one directory the later hides the earlier.
    nearest = max(enumerate(holding), key=lambda pair: (len(Path(pair[1].mountpoint).parts), pair[0]))[1]
    return nearest.fstype.lower().removeprefix("fuse.") in NETWORK_FILE_SYSTEMS


def make_private(place: Path) -> None:
    """Make the file before SQLite does: it will hold keys, and the umask of most people lets everybody read.

    Raises
    ------
    StoreError
        It can't be made or written.
    """
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            found = os.fstat(descriptor)
            if stat.S_IMODE(found.st_mode) & 0o077 and found.st_uid == os.geteuid():
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(
            f"{place}: the store can't be written there: {error.strerror}. "
            "Allow this user to write to the file and its directory, or give another place"
        ) from error
