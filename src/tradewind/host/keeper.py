"""The keeper: a small process beside each Dask process that holds it to its limits and sees how it ends.

It leads a session of its own and outlives whoever asked for it. It is the reaper of all that the Dask process starts,
so nothing of it is left when it goes. No threads, no event loop. A warm process forks it (:func:`keep`); or it is what
a starter turned into, with the claim made already (:func:`keep_claimed`).
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import dask
import psutil

from tradewind.boot.birth import machine_boot
from tradewind.host.bare.silence import Silence
from tradewind.host.bare.starter import ASKED
from tradewind.host.in_use import InUse
from tradewind.host.process import PR_SET_CHILD_SUBREAPER, become_dask, prctl, show_as
from tradewind.host.records import Exit, Run, now_utc
from tradewind.host.task import Task

ASKS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
"""Signals that ask for an end; Grid Engine sends the last of them some time before it kills."""
LOOK_EVERY_S = 0.2
LISTEN_EVERY_S = 1.0
GRACE_S = 2.0
"""Between asking a Dask process to end and killing it."""
SWEEP_S = 5.0
FAREWELL_S = 20.0
"""How long a command may take that is run when all is over."""
GIB = 1024**3


def keep(task: Task, poke: int) -> NoReturn:
    """Claim the order, run its Dask process, see it end; never returns. Called right after a fork.

    Parameters
    ----------
    task : Task
        What to launch.
    poke : int
        Descriptor for lines to the provider: ``claimed``, ``known`` (somebody has this order), ``changed``.
    """
    code = 1
    try:
        os.setsid()
        code = _keep(task, poke)
    except BaseException:  # the last frame of this process, and of the Dask process until it has a log of its own
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _keep(task: Task, poke: int) -> int:
    wake, waker = _watch_signals()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    run = task.records.run(task.marks.order)
    claimed = run.make_claim(task.marks, now_utc())
    if claimed:
        # Before anybody hears of it: what ps shows is how people, and tests, find it.
        show_as("tradewind", task)
    _tell(poke, b"claimed\n" if claimed else b"known\n")
    return _watch_over(task, poke, wake, waker) if claimed else 0


def keep_claimed(task: Task) -> int:
    """Run the Dask process of an order that this process has claimed, see it end, and return the exit code.

    Parameters
    ----------
    task : Task
        What to launch; nobody listens but who reads its run directory.
    """
    wake, waker = _watch_signals()
    # A starter held back what was asked of it while it turned into us.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKS)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    show_as("tradewind", task)
    return _watch_over(task, os.open(os.devnull, os.O_WRONLY), wake, waker)


def _watch_over(task: Task, poke: int, wake: int, waker: int) -> int:
    run = task.records.run(task.marks.order)
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        _forget_signals()
        os.close(wake)
        os.close(waker)
        os._exit(become_dask(task, poke, keeper) & 0xFF)
    in_use = InUse(Path(sys.prefix)) if sys.platform == "linux" else None
    end = _Watch(task=task, run=run, child=child, wake=wake, poke=poke, in_use=in_use).until_the_end()
    kill_descendants()
    if in_use is not None:
        in_use.end()
    task.records.withdraw(task.marks)
    run.write_exit(end)
    _tell(poke, b"changed\n")
    _bid_farewell(task)
    # Not by the Dask process itself: one that is killed for its memory leaves the most behind.
    shutil.rmtree(run.scratch, ignore_errors=True)
    return 0


@dataclass(slots=True, kw_only=True)
class _Watch:
    task: Task
    run: Run
    child: int
    wake: int
    poke: int
    in_use: InUse | None = None
    detail: str = ""
    kill_at: float | None = None
    """By the monotonic clock; set once the Dask process was asked to end."""

    def until_the_end(self) -> Exit:
        expires_at = self.task.expires_at
        # Both clocks count: one that somebody sets must not prolong a life.
        deadline = None if expires_at is None else time.monotonic() + (expires_at - now_utc()).total_seconds()
        silence, listens_at = self._silence(), 0.0
        most = self._most_memory()
        process = psutil.Process(self.child)
        while True:
            if self.in_use is not None:
                self.in_use.renew()
            ended = self._reap()
            if ended is not None:
                return Exit(stopped_at=now_utc(), exit_code=ended, detail=self._why(ended))
            if _is_over(expires_at, deadline):
                self._ask(f"its time was over: it was to end at {expires_at:%Y-%m-%d %H:%M:%S} UTC")
            # Less often than the rest: its notes may lie on a file server that a thousand keepers ask.
            if silence is not None and time.monotonic() >= listens_at:
                listens_at = time.monotonic() + LISTEN_EVERY_S
                if words := silence.words(self.task.boot.orphan_timeout_s, str(self.run.directory)):
                    self._ask(words)
            if self.kill_at is not None and time.monotonic() >= self.kill_at:
                self._kill("")
            with contextlib.suppress(psutil.NoSuchProcess):
                used = process.memory_info().rss
                if most is not None and used > most and not self.detail.startswith("used "):
                    limit = self.task.boot.memory
                    self._kill(f"used {used / GIB:.2f} GiB of its {limit / GIB:.2f} GiB and was killed")
            self._sleep()

    def _silence(self) -> Silence | None:
        """Return what is known of who asks after it; None where its host keeps no note of that."""
        if not self.task.counts_silence:
            return None
        return Silence(str(self.task.root), self.task.marks.installation, machine_boot())

    def _most_memory(self) -> float | None:
        dask.config.set(self.task.boot.dask_config)
        share = dask.config.get("distributed.worker.memory.terminate", 0.95)
        return self.task.boot.memory * float(share) if isinstance(share, int | float) and share else None

    def _reap(self) -> int | None:
        """Collect all that ended; returns the exit code of the Dask process if it is among them."""
        found = None
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.child:
                    found = os.waitstatus_to_exitcode(ended[1])
        return found

    def _ask(self, why: str) -> None:
        if self.kill_at is not None:
            return
        self.detail = self.detail or why
        self.kill_at = time.monotonic() + GRACE_S
        self.run.note("stopping")
        _tell(self.poke, b"changed\n")
        _signal(self.child, signal.SIGTERM)

    def _kill(self, why: str) -> None:
        self.detail = why or self.detail
        _signal(self.child, signal.SIGKILL)

    def _sleep(self) -> None:
        readable, _, _ = select.select([self.wake], [], [], LOOK_EVERY_S)
        if readable and set(os.read(self.wake, 64)) & set(ASKS):
            self._ask(ASKED)

    def _why(self, code: int) -> str:
        if self.detail:
            return self.detail
        if fault := self.run.fault():
            return fault
        if code == -signal.SIGKILL:
            return "was killed by SIGKILL; if nobody did that, the machine ran out of memory"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return "ended by itself" if code == 0 else f"failed with exit code {code}; its log says more"


def _bid_farewell(task: Task) -> None:
    for command in task.farewell:
        try:
            said = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=FAREWELL_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            sys.stderr.write(f"{command[0]} couldn't be run: {error}\n")
            continue
        if said.returncode:
            sys.stderr.write(f"{command[0]}: {said.stderr.decode(errors='replace').strip()}\n")


def kill_descendants() -> None:
    """Kill all that this process is the reaper of, until nothing is left or 5 s are over."""
    until = time.monotonic() + SWEEP_S
    while (left := psutil.Process().children(recursive=True)) and time.monotonic() < until:
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        time.sleep(0.01)


def _is_over(expires_at: datetime | None, deadline: float | None) -> bool:
    if expires_at is None or deadline is None:
        return False
    return now_utc() >= expires_at or time.monotonic() >= deadline


def _signal(pid: int, number: int) -> None:
    # Our own child, not yet reaped: its number can't have been given to another.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _tell(poke: int, line: bytes) -> None:
    try:
        os.write(poke, line)
    except OSError:
        return  # nobody listens any more; what happened stands on disk


def _watch_signals() -> tuple[int, int]:
    """Turn signals into bytes on a pipe and return its ends, to read and to write: macOS has no ``sigtimedwait``."""
    receive, send = os.pipe()
    os.set_blocking(receive, False)
    os.set_blocking(send, False)
    signal.set_wakeup_fd(send, warn_on_full_buffer=False)
    for number in (*ASKS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return receive, send


def _forget_signals() -> None:
    # From Python 3.12 on, asyncio has done this in every forked child already: the old one isn't told any more.
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Its keeper is told that the end is near, and asks it to end in good order.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
