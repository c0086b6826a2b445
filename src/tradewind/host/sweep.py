"""Clear away what a killed keeper could not: processes that tasks had started, and what was spilled."""

from __future__ import annotations

import contextlib
import os
import shutil

import psutil

from tradewind.host.bare.ground import VARIABLE
from tradewind.host.records import Claim, Run


def sweep(run: Run, claim: Claim) -> int:
    """Kill what is left of an instance whose keeper is dead; returns how many were killed.

    The kernel ends the Dask process with its keeper (Linux). What that process had started is found by the session,
    which the keeper led, or by a variable, which even a process with a session of its own has inherited.
    """
    if claim.is_alive:
        return 0
    killed = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if _is_left_over(process, run, claim):
                process.kill()
                killed += 1
    shutil.rmtree(run.scratch, ignore_errors=True)
    return killed


def _is_left_over(process: psutil.Process, run: Run, claim: Claim) -> bool:
    if process.pid == os.getpid() or process.uids().real != os.getuid():
        return False
    # While a session has members the kernel gives its number to no new process: an equal number is that session,
    # unless a process of that number exists, which then is another one's leader.
    if os.getsid(process.pid) == claim.pid and not psutil.pid_exists(claim.pid):
        return True
    return process.environ().get(VARIABLE) == run.handle
