"""Who holds a lease: a process, named so that another on the same machine can see that it's dead."""

from __future__ import annotations

import os
import socket

import psutil


def this_process() -> str:
    """Return the name under which this process takes leases."""
    return f"{socket.gethostname()}/{os.getpid()}/{psutil.Process().create_time():.2f}"


def is_dead(holder: str) -> bool:
    """Whether the process that took a lease is known to be gone; False where that can't be told from here."""
    try:
        host, pid, created = holder.rsplit("/", 2)
        if host != socket.gethostname():
            return False
        process = psutil.Process(int(pid))
        return process.status() == psutil.STATUS_ZOMBIE or f"{process.create_time():.2f}" != created
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.Error):
        return False
