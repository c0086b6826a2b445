"""Which code this process imports: directories put in front of the others, and modules that are to be loaded anew."""

from __future__ import annotations

import importlib
import linecache
import sys
import threading
import time
from collections.abc import Collection, Sequence

NEVER = frozenset({"tradewind", "dask", "distributed", "__main__", "__mp_main__"})
"""What this process itself runs on."""
LOADING_S = 10.0
"""How long a module that is just being loaded is waited for: half a module must not be taken away."""
STEP_S = 0.01

_lock = threading.Lock()
_in_front: list[str] = []


def import_from(places: Sequence[str], tops: Collection[str]) -> tuple[str, ...]:
    """Put ``places`` in front on ``sys.path``, in place of those of the last call, and forget modules.

    What runs keeps what it has imported; what is imported from now on is read again. A module of a place that goes is
    forgotten as well.

    Parameters
    ----------
    places : sequence of str
        Directories, the first one first.
    tops : collection of str
        Names without dots of modules and packages; the modules of a package go with it.

    Returns
    -------
    tuple of str
        Modules that were loaded and will be loaded anew, sorted.
    """
    with _lock:
        gone = tuple(f"{place.rstrip('/')}/" for place in _in_front if place not in places)
        for place in _in_front:
            if place in sys.path:
                sys.path.remove(place)
        sys.path[:0] = places
        _in_front[:] = places
        wanted = set(tops) - NEVER
        wanted |= {name.partition(".")[0] for name in list(sys.modules) if gone and _lies_in(name, gone)} - NEVER
        found = _loaded(wanted)
        _wait_until_loaded(found)
        found = _loaded(wanted)
        for name in found:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        linecache.checkcache()
        return tuple(sorted(found))


def _loaded(tops: Collection[str]) -> list[str]:
    return [name for name in list(sys.modules) if name.partition(".")[0] in tops]


def _lies_in(name: str, places: tuple[str, ...]) -> bool:
    file = getattr(sys.modules.get(name), "__file__", None)
    return isinstance(file, str) and file.startswith(places)


def _wait_until_loaded(names: Collection[str]) -> None:
    until = time.monotonic() + LOADING_S
    while time.monotonic() < until and any(_is_loading(name) for name in names):
        time.sleep(STEP_S)


def _is_loading(name: str) -> bool:
    # As Python's own importer notes it; there is no public word for it.
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))
