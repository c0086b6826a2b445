"""Which engine a call talks to: the one of this process, made on first use, or the server one is signed in to."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - sets its own exit hook, which must be older than ours to run after it
import importlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from tradewind.client.api import Engine
from tradewind.client.remote.credentials import is_here, load_credentials, server_url
from tradewind.config import Settings, data_directory, load_settings

SOLO = "tradewind.engine.solo:Solo"
"""Named, not imported: this package never meets the engine's side, and its weight is only paid when it is used."""
REMOTE = "tradewind.client.remote.signed_in:open_remote"
SOLO_WORD = "solo"
"""As the setting ``server``: the engine of this process, even where one is signed in somewhere."""
NO_WORKSPACE = Settings.__dataclass_fields__["workspace"].default

_lock = threading.Lock()
_open: dict[tuple[object, ...], Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where clusters run when a call doesn't say."""

    settings: Settings
    """With the workspace that is meant there."""
    server: str | None
    """URL; None is the engine of this process."""

    @property
    def shares_files(self) -> bool:
        """Whether what runs the clusters sees the caller's directories by the same names."""
        return self.server is None or is_here(self.server)


def find_place(settings: Settings | None = None) -> Place:
    """Return where this user's clusters run: the setting wins over the server they are signed in to.

    Raises
    ------
    ConfigError, BadRequest
        The settings or the credentials can't be used.
    """
    settings = settings or load_settings()
    if settings.server is not None and settings.server.lower() == SOLO_WORD:
        return Place(settings=settings, server=None)
    credentials = load_credentials()
    server = server_url(settings.server) if settings.server is not None else credentials.current
    if server is None:
        return Place(settings=settings, server=None)
    chosen = credentials.of(server).workspace
    if settings.workspace == NO_WORKSPACE and chosen is not None:
        settings = replace(settings, workspace=chosen)
    return Place(settings=settings, server=server)


def open_api(settings: Settings | None = None, *, looks_after: bool = True, workspace: str | None = None) -> Engine:
    """Return the engine of this process for ``settings``, started on the first call, or a line to a server.

    Parameters
    ----------
    settings : Settings, optional
        Default: this user's, see :func:`tradewind.config.load_settings`.
    looks_after : bool
        False for a program that only asks and ends at once, such as a command in a terminal.
    workspace : str, optional
        Of those on a server, another than the settings'. The engine of this process has one.
    """
    return open_at(find_place(settings), looks_after=looks_after, workspace=workspace)


def open_at(place: Place, *, looks_after: bool = True, workspace: str | None = None) -> Engine:
    """Return the engine of a place; see :func:`open_api`."""
    workspace = workspace or place.settings.workspace
    key: tuple[object, ...]
    # A forked child has the memory of an engine but not its thread, so it needs one of its own.
    if place.server is None:
        key = (os.getpid(), str(data_directory()), repr(place.settings), looks_after)
    else:
        key = (os.getpid(), str(data_directory()), place.server, workspace)
    with _lock:
        if key not in _open:
            module, name = (SOLO if place.server is None else REMOTE).split(":")
            engine = getattr(importlib.import_module(module), name)
            _open[key] = (
                engine(place.settings, looks_after=looks_after)
                if place.server is None
                else engine(place.server, workspace)
            )
        return cast("Engine", _open[key])


def is_near(place: Place, api: Engine, provider: str) -> bool:
    """Return whether what ``provider`` launches there runs among the caller's own files, with his home."""
    if place.server is None:
        return not api.needs_software(provider)
    # A server doesn't say what its providers share; on this very machine, only local processes may be taken to.
    return place.shares_files and provider == "local"


def must_stream(place: Place, provider: str) -> bool:
    """Return whether the caller's code reaches what ``provider`` launches only over Dask's own line.

    So it is with every server: what runs there can't be given files of this machine. What the fake provider launches
    runs no code.
    """
    return place.server is not None and provider != "fake" and not (place.shares_files and provider == "local")


def close(api: Engine) -> None:
    """Close one engine of this process, got from :func:`open_api`; the next :func:`open_api` makes another."""
    with _lock:
        mine = [key for key, engine in _open.items() if engine is api]
        engines = [_open.pop(key) for key in mine]
    for engine in engines:
        engine.close()


def at_exit(hook: Callable[[], None]) -> None:
    """Call ``hook`` when the interpreter ends, while thread pools still take work; the last one given runs first.

    ``atexit`` is too late: thread pools are closed before it, and from Python 3.12 on no thread starts then.
    """
    getattr(threading, "_register_atexit", atexit.register)(hook)


def close_all() -> None:
    """Close every engine of this process; clusters that were left up live on until nobody has looked for long."""
    for engine in [engine for key, engine in list(_open.items()) if key[0] == os.getpid()]:
        close(engine)


at_exit(close_all)
