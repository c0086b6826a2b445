"""Which process a number means: process ids are used again, births are not."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import psutil


@cache
def machine_boot() -> str:
    """Return what tells this run of this machine from another: a boot id, or else the time of boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


def birth_of(pid: int) -> str | None:
    """Return when process ``pid`` was born, as an opaque text; None if it is gone or a zombie.

    On Linux these are ticks since boot: psutil's ``create_time`` moves when somebody sets the clock.
    """
    if sys.platform != "linux":
        return _birth_by_psutil(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name of the process stands in brackets and may hold blanks and brackets itself.
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    return None if state in {b"Z", b"X"} else f"{machine_boot()}:{fields[18].decode()}"


def _birth_by_psutil(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{machine_boot()}:{process.create_time()}"
    except psutil.NoSuchProcess:
        return None


def is_alive(pid: int, birth: str) -> bool:
    """Whether the process that was born then is still there."""
    return birth_of(pid) == birth


def signal_process(pid: int, birth: str, number: int) -> bool:
    """Send a signal to that very process; False if it is gone."""
    if not is_alive(pid, birth):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
