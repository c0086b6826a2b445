"""The provider's end of the warm process: start it, hand it orders, hear what happens."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tradewind.errors import NoCapacity, Unavailable
from tradewind.host.task import ONE_THREAD, Task, python_command
from tradewind.providers.local.framing import LENGTH

logger = logging.getLogger("tradewind.local")

FORKABLE = ("numpy", "pandas", "xarray", "dask.array", "dask.dataframe", "scipy")
"""Libraries worth loading before the fork, where the caller uses them; none of them starts threads when loaded."""
DASHBOARD = "distributed.dashboard.scheduler"
CLAIM_WITHIN_S = 30.0
"""From order to claim: milliseconds, but a cold start on a busy machine takes seconds."""
LOG_LIMIT = 1_000_000


@dataclass(slots=True, eq=False)
class _Link:
    """One warm process, as long as it lives."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    environ: Mapping[str, str]
    """What it was started with."""
    pid: int
    """Of us who started it: after a fork, the child must not speak into its parent's link."""
    sent: set[str] = field(default_factory=set)
    """Modules it was told to load."""
    waiting: dict[str, list[Future[str]]] = field(default_factory=dict)
    """By order; each gets the first thing that is heard of it."""
    packages: tuple[tuple[str, int], ...] = ()
    """When something was last installed, as it was started."""
    is_open: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


class Warm:
    """Starts the warm process when it is first needed, and again if it died.

    Parameters
    ----------
    root : Path
        Of the records; its log is kept there.
    poke : callable
        Called, from a thread, when something may have changed.
    """

    def __init__(self, root: Path, poke: Callable[[], None]) -> None:
        self._root = root
        self._poke = poke
        self._link: _Link | None = None
        self._lock = threading.Lock()
        self._never: set[str] = set()
        """Modules that turned out to start threads."""

    def start(self) -> None:
        """See that there is a warm process; returns at once, while it still loads."""
        self._ensure()

    async def launch(self, task: Task) -> None:
        """Have one instance launched; returns once its order is claimed, by this or by an earlier launch.

        Raises
        ------
        NoCapacity
            This machine can't start another process now.
        Unavailable
            The warm process died twice, or doesn't answer.
        """
        for _ in range(2):
            heard = await self._ask(task)
            if heard in {"claimed", "known"}:
                return
            if heard not in {"closed", "gone"}:
                raise NoCapacity(heard)
        raise Unavailable(f"the process that launches local clusters ends early; {self._root / 'warm.log'} says why")

    async def _ask(self, task: Task) -> str:
        link = await asyncio.to_thread(self._ensure)
        future: Future[str] = Future()
        order = task.marks.order
        with link.lock:
            link.waiting.setdefault(order, []).append(future)
        try:
            if not link.is_open:
                return "closed"
            await asyncio.to_thread(_send, link, pickle.dumps(task))
            heard = await asyncio.wait_for(asyncio.wrap_future(future), CLAIM_WITHIN_S)
            await asyncio.to_thread(self._load_ahead, link)
        except OSError:
            return "closed"
        except TimeoutError:
            raise Unavailable(
                f"the process that launches local clusters didn't answer within {CLAIM_WITHIN_S:.0f} s"
            ) from None
        else:
            return heard
        finally:
            with link.lock:
                futures = link.waiting.get(order, [])
                if future in futures:
                    futures.remove(future)

    def changes(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return those of the caller's variables that the warm process wasn't started with."""
        link = self._link
        started_with = link.environ if link is not None else _environ(environ)
        return {name: value for name, value in environ.items() if started_with.get(name) != value}

    def close(self) -> None:
        """End the warm process, and wait for that; instances stay."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None and link.pid == os.getpid():
            _hang_up(link)
            try:
                link.process.wait(2)
            except subprocess.TimeoutExpired:
                link.process.kill()
                link.process.wait()

    def _ensure(self) -> _Link:
        with self._lock:
            link = self._link
            if link is None or not link.is_open or link.pid != os.getpid():
                link = self._link = self._start()
            elif link.packages != installed_at():
                # It has loaded what was there before, and so would all that it forks.
                _hang_up(link)
                link = self._link = self._start()
            return link

    def _start(self) -> _Link:
        environ = _environ(os.environ)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self._root / "warm.log"
        is_long = log.exists() and log.stat().st_size > LOG_LIMIT
        ours, theirs = socket.socketpair()
        with theirs, open(log, "wb" if is_long else "ab") as sink:
            process = subprocess.Popen(
                python_command("tradewind.providers.local.forkserver", theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=environ,
                pass_fds=(theirs.fileno(),),
            )
        link = _Link(process=process, control=ours, environ=environ, pid=os.getpid(), packages=installed_at())
        threading.Thread(target=self._listen, args=(link,), name="tradewind-local", daemon=True).start()
        return link

    def _listen(self, link: _Link) -> None:
        with link.control.makefile("rb") as lines:
            try:
                for line in lines:
                    self._hear(link, json.loads(line))
            except OSError as error:
                logger.debug("the link to the warm process broke: %s", error)
        _hang_up(link)
        link.process.wait()
        self._poke()

    def _hear(self, link: _Link, event: dict[str, str]) -> None:
        if event["event"] == "tainted":
            self._never.add(event["detail"])
            logger.info("%s starts threads when it is loaded, so it isn't loaded ahead", event["detail"])
            return
        with link.lock:
            # "changed" is said by an instance of an earlier asking: whether this one is claimed isn't known by it.
            futures = link.waiting.pop(event["order"], []) if event["event"] != "changed" else []
        for future in futures:
            future.set_result(event["detail"] or event["event"])
        self._poke()

    def _load_ahead(self, link: _Link) -> None:
        wanted = [name for name in FORKABLE if name in sys.modules]
        if importlib.util.find_spec("bokeh") is not None:
            wanted.append(DASHBOARD)
        names = [name for name in wanted if name not in link.sent and name not in self._never]
        if names:
            link.sent.update(names)
            _send(link, pickle.dumps(names))


def installed_at() -> tuple[tuple[str, int], ...]:
    """Return when something was last installed or removed, by directory of packages: installers add and take files."""
    found = []
    for entry in sys.path:
        if entry.rstrip("/").endswith(("site-packages", "dist-packages")):
            with suppress(OSError):
                found.append((entry, os.stat(entry).st_mtime_ns))
    return tuple(found)


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the warm process starts with: the caller's variables, and what Dask's nanny sets."""
    started = {**environ, **ONE_THREAD}
    started.setdefault("MALLOC_TRIM_THRESHOLD_", "65536")
    # Forked workers share their hash seed in any case; those started afresh need the same one.
    if started.get("PYTHONHASHSEED") in {None, "0"}:
        started["PYTHONHASHSEED"] = "6640"
    return started


def _send(link: _Link, message: bytes) -> None:
    with link.lock:
        link.control.sendall(LENGTH.pack(len(message)) + message)


def _hang_up(link: _Link) -> None:
    with link.lock:
        link.is_open = False
        waiting, link.waiting = link.waiting, {}
        try:
            link.control.shutdown(socket.SHUT_RDWR)
        except OSError:
            logger.debug("the warm process was gone already")
        link.control.close()
    for futures in waiting.values():
        for future in futures:
            if not future.done():
                future.set_result("closed")
