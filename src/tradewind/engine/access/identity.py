"""Who we are: this installation, this process, and ids that nobody used before."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import uuid
from pathlib import Path

import psutil

from tradewind.boot.birth import birth_of, is_alive
from tradewind.errors import StoreError


def new_id(prefix: str) -> str:
    """Return an id that nobody used before: ``worker-3f9a1c20b7``."""
    return f"{prefix}-{secrets.token_hex(5)}"


def installation(directory: Path, store: str | None) -> str:
    """Return the id that all we launch is marked with: one for each store, since what a store doesn't know is ended.

    Parameters
    ----------
    directory : Path
        The user's data directory; the id is made on the first call and kept there.
    store : str or None
        URL of the store; None is the one in ``directory``.

    Raises
    ------
    StoreError
        The directory can't be made, read or written.
    """
    try:
        mine = _kept(directory)
    except OSError as error:
        raise StoreError(
            f"{directory}: nothing can be kept there: {error.strerror}. "
            "Allow this user to write there, or set TRADEWIND_DATA_DIR to a directory where it may."
        ) from None
    return mine if store is None else f"{mine}-{hashlib.sha256(store.encode()).hexdigest()[:8]}"


def _kept(directory: Path) -> str:
    file = directory / "installation"
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = f"solo-{uuid.uuid4().hex[:12]}"
        try:
            # Two first calls at once: the file appears whole or not at all, and the one that was there first stands.
            partial = directory / f"installation.{os.getpid()}"
            partial.write_text(made, encoding="ascii")
            os.link(partial, file)
        except FileExistsError:
            return file.read_text(encoding="ascii").strip()
        finally:
            partial.unlink(missing_ok=True)
        return made


def this_process() -> str:
    """Return the name under which this process takes leases."""
    return f"{socket.gethostname()}/{os.getpid()}/{birth_of(os.getpid())}"


def is_dead(holder: str) -> bool:
    """Whether the process that took a lease is known to be gone; False where that can't be told from here."""
    try:
        host, pid, birth = holder.rsplit("/", 2)
        return host == socket.gethostname() and not is_alive(int(pid), birth)
    except (ValueError, psutil.Error):
        return False
