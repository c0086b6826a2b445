"""What indexes have of an environment, made before the rest is known: while the caller's own code is still being built.

It lies beside the environments, under the hash of those packages, and nobody runs in it. The first environment that
needs just these takes it over by its name and puts the caller's code in; it is checked there, as every other one is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tradewind.boot.restore.install import has_conda, install_listed
from tradewind.boot.restore.place import MARKER, Place, making_of
from tradewind.boot.restore.report import Report

AHEAD = "ahead-"
"""Before the hash, in the name of its directory."""
WANTED = ".wanted"
"""After its name: a file that says that an environment waits for it."""
COMPILE_S = 60.0
LOOK_EVERY_S = 0.02
STARTED_WITH = (
    "distributed",
    "distributed.comm.tcp",
    "distributed.http.scheduler.info",
    "distributed.scheduler",
    "distributed.shuffle",
    "distributed.worker",
    "msgspec",
    "setproctitle",
    "tradewind.host.__main__",
)
"""What a scheduler and a worker import first, and what brings the rest of it."""
COMPILING = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError:
        continue
"""
"""Run by the new Python, which keeps what it has compiled."""


def make_ahead(order: Mapping[str, Any], cache: str, report: Report, timeout_s: float) -> dict[str, object]:
    """Make it, unless it is there or uv's cache has all of it from another environment; return the answer."""
    base = str(order["base"])
    place = Place(cache, AHEAD + base)
    way = "present"
    with place.held(report, timeout_s) as hold:
        # Without locks nobody could tell who takes it.
        if hold >= 0 and not any(one.get("base") == base for one in place.others()):
            place.clear()
            try:
                making = making_of(order, cache, place, report, hold)
                install_listed(making)
                with report.step("compile"):
                    _compile(making.python, place.directory + WANTED)
                place.complete({"content_hash": place.content_hash, "base": base, "way": "install"})
                way = "ahead"
            finally:
                shutil.rmtree(place.beside, ignore_errors=True)
                with suppress(OSError):
                    os.unlink(place.progress)
        if way == "present" and not os.path.isdir(place.directory):
            _forget(place)
    return {"done": place.directory, "way": way}


def take_ahead(order: Mapping[str, Any], cache: str, place: Place, report: Report, timeout_s: float) -> bool:
    """Move what was made ahead to where ``place`` is being made; wait for it, where it still is. False: there is none.

    What is of conda can't be moved. Then it is waited for all the same: it has filled the caches.
    """
    if not order.get("base"):
        return False
    ahead = Place(cache, AHEAD + str(order["base"]))
    if not os.path.exists(ahead.lock):
        return False
    with open(ahead.directory + WANTED, "w", encoding="utf-8"):
        pass  # its maker compiles no more, and is ready
    with ahead.held(report, timeout_s) as hold:
        with suppress(OSError):
            os.unlink(ahead.directory + WANTED)
        if hold < 0:
            return False  # without locks nobody could tell who takes it
        is_there = ahead.is_complete()
        if is_there and has_conda(order["environment"]):
            return False
        if is_there:
            os.rename(ahead.directory, place.beside)
            os.unlink(os.path.join(place.beside, MARKER))
        _forget(ahead)
    return is_there


def _forget(place: Place) -> None:
    """Remove what is left beside one that is gone; to be called with its lock held."""
    for path in (place.progress, place.lock):
        with suppress(OSError):
            os.unlink(path)


def _compile(python: str, wanted: str) -> None:
    """Let Python compile what Dask starts with, until that is done or somebody waits."""
    if os.path.exists(wanted):
        return
    words = [python, "-I", "-c", COMPILING, *STARTED_WITH]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(words, stdin=nothing, stdout=nothing, stderr=nothing) as process:
        until = time.monotonic() + COMPILE_S
        try:
            while process.poll() is None and time.monotonic() < until and not os.path.exists(wanted):
                time.sleep(LOOK_EVERY_S)
        finally:
            process.kill()
