"""Packing an environment for the machines after this one, once the instance that needed it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from tradewind.host.bare.ground import LOADER

try:
    import ctypes

    LIBC: Any = ctypes.CDLL(None)
except (ImportError, OSError):
    LIBC = None  # a Python without it leaves what a killed starter had started to the station's sweep

RUNS = ("contact.json", "ready")
"""One of these stands in the run directory once the instance is up."""
UP_WITHIN_S = 600.0
SETTLED_S = 5.0
"""After it is up: what starts beside it isn't kept waiting, and what it imported is compiled."""
LOOK_EVERY_S = 0.5


def pack_later(directory: str, work: Any) -> None:
    """Fork a process that packs what ``work`` made, if it says where to; called by who then turns into the keeper.

    It is the instance's: it ends with it, at the latest, and then another cluster's first machine packs.
    """
    if not work or not work["order"].get("publish"):
        return
    keeper = os.getpid()
    if os.fork() != 0:
        return
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        dies_with_its_parent()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.nice(19)
        if os.getppid() == keeper and _is_up(directory):
            code = _pack(work)
    except Exception as error:
        os.write(2, f"the environment wasn't packed: {error!r}\n".encode())
    finally:
        os._exit(code)


def dies_with_its_parent(number: int = signal.SIGKILL) -> None:
    """Let the kernel kill this process, or send it another signal, when its parent ends."""
    if LIBC is not None:
        LIBC.prctl(1, int(number), 0, 0, 0)  # PR_SET_PDEATHSIG


def _is_up(directory: str) -> bool:
    until = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < until:
        if any(os.path.exists(os.path.join(directory, name)) for name in RUNS):
            time.sleep(SETTLED_S)
            return True
        time.sleep(LOOK_EVERY_S)
    return False


def _pack(work: Any) -> int:
    program = work["program"].encode()
    order = json.dumps({**work["order"], "task": "pack"}).encode()
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", LOADER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=dies_with_its_parent,
    )
    said, _ = process.communicate(b"%d\n" % len(program) + program + order)
    try:
        last = json.loads(said.splitlines()[-1])
        words = last.get("reason") or f"packed for other machines: {last['size'] / 1e6:,.0f} MB"
    except (IndexError, ValueError, KeyError):
        words = f"packing it ended with exit code {process.returncode}"
    os.write(2, f"the environment: {words}\n".encode())
    return process.returncode
