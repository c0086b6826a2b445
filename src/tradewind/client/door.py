"""Which engine a call talks to: the one of this process, made on first use."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - sets its own exit hook, which must be older than ours to run after it
import importlib
import os
import threading
from collections.abc import Callable
from typing import Any, cast

from tradewind.client.api import Api
from tradewind.config import Settings, data_directory, load_settings

SOLO = "tradewind.engine.solo:Solo"
"""Named, not imported: this package never meets the engine's side, and its weight is only paid when it is used."""

_lock = threading.Lock()
_open: dict[tuple[int, str, str, bool], Any] = {}


def open_api(settings: Settings | None = None, *, looks_after: bool = True) -> Api:
    """Return the engine of this process for ``settings``, started on the first call.

    Parameters
    ----------
    settings : Settings, optional
        Default: this user's, see :func:`tradewind.config.load_settings`.
    looks_after : bool
        False for a program that only asks and ends at once, such as a command in a terminal.
    """
    settings = settings or load_settings()
    # A forked child has the memory of an engine but not its thread, so it needs one of its own.
    key = (os.getpid(), str(data_directory()), repr(settings), looks_after)
    with _lock:
        if key not in _open:
            module, name = SOLO.split(":")
            engine = getattr(importlib.import_module(module), name)
            _open[key] = engine(settings, looks_after=looks_after)
        return cast("Api", _open[key])


def close(api: Api) -> None:
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
