"""Bears replicas: has imported everything once, then forks one for each line that asks for it.

Starting Python anew takes a second of which nothing is tested; a chaos run kills replicas by the hundred.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from pathlib import Path

from tests.chaos.replica import Replica, run

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Read lines until there are no more; the replicas end with this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are nobody's zombies
    gc.freeze()
    for line in sys.stdin:
        told = json.loads(line)
        log = told.pop("log")
        pid = os.fork()
        if pid == 0:
            _live(Replica(**told), log)
        print(json.dumps({"pid": pid}), flush=True)


def _live(replica: Replica, log: str) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Written to by a file of its own: the nursery's output is for its answers.
    descriptor = os.open(Path(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code = 1
    try:
        asyncio.run(run(replica))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
