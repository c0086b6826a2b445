"""The warm process: it has Dask loaded already and forks instances from itself in milliseconds.

Started by :class:`~tradewind.providers.local.warm.Warm`.
Orders come over a socket pair, pickled: they are from its own parent. What it answers is JSON lines: the parent
unpickles nothing. It ends when its parent closes the socket or is gone; the instances stay.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import pickle
import selectors
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import dask
import distributed.versions
from setproctitle import setproctitle

from tradewind.host.keeper import keep
from tradewind.host.task import Task
from tradewind.providers.local.framing import LENGTH

logger = logging.getLogger("tradewind.forkserver")

CALM_S = 1.5
"""Further modules are loaded when no order came for this long."""
TAINTED_EXIT = 4


class ForkServer:
    """Forks an instance for each order.

    Parameters
    ----------
    control : socket.socket
        Orders in, events out.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._buffer = bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._orders: dict[int, str] = {}
        """By the end we read of an instance's pipe."""
        self._to_load: list[str] = []
        self._busy_at = time.monotonic()
        self._launched = False

    def run(self) -> None:
        """Serve until the control socket closes."""
        while True:
            for key, _ in self._selector.select(0.25 if self._to_load else None):
                if key.fileobj is not self._control:
                    self._forward(key.fd)
                elif not self._receive():
                    return
            self._load_one()

    def _receive(self) -> bool:
        data = self._control.recv(1 << 20)
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            if len(self._buffer) < LENGTH.size + length:
                break
            message = bytes(self._buffer[LENGTH.size : LENGTH.size + length])
            # Overwritten, not only dropped: the next fork must not carry another cluster's keys.
            self._buffer[: LENGTH.size + length] = bytes(LENGTH.size + length)
            del self._buffer[: LENGTH.size + length]
            self._obey(pickle.loads(message))
        return bool(data)

    def _obey(self, message: Task | list[str]) -> None:
        self._busy_at = time.monotonic()
        if isinstance(message, Task):
            self._launched = True
            self._launch(message)
        else:
            self._to_load += [name for name in message if name not in sys.modules and name not in self._to_load]

    def _launch(self, task: Task) -> None:
        order = task.marks.order
        receive, send = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(receive)
            os.close(send)
            self._say(order=order, event="refused", detail=f"this machine can't start a process: {error.strerror}")
            return
        if pid == 0:
            self._let_go(receive)
            keep(task, send)
        os.close(send)
        self._orders[receive] = order
        self._selector.register(receive, selectors.EVENT_READ)

    def _let_go(self, receive: int) -> None:
        """In a keeper: close what is the warm process's own, or its parent would never see it end."""
        self._selector.close()
        self._control.close()
        for descriptor in (receive, *self._orders):
            os.close(descriptor)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        gc.enable()

    def _forward(self, descriptor: int) -> None:
        order = self._orders[descriptor]
        data = os.read(descriptor, 4096)
        for line in data.splitlines():
            self._say(order=order, event=line.decode(errors="replace"), detail="")
        if not data:
            self._selector.unregister(descriptor)
            os.close(descriptor)
            del self._orders[descriptor]
            self._say(order=order, event="gone", detail="")

    def _say(self, **event: str) -> None:
        try:
            self._control.sendall(json.dumps(event).encode() + b"\n")
        except OSError:
            return  # the parent is gone: the next read of the socket ends us

    def _load_one(self) -> None:
        # Not before the first orders: what was asked for comes first, what may come later, later.
        if not self._to_load or not self._launched or time.monotonic() - self._busy_at < CALM_S:
            return
        name = self._to_load.pop(0)
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - any module of any library; it only stays cold
            logger.warning("%s can't be loaded ahead, clusters load it themselves: %r", name, error)
        if threads() > 1:
            # A fork would copy locks that a thread holds and not the thread. The parent starts another one, without.
            self._say(order="", event="tainted", detail=name)
            sys.exit(TAINTED_EXIT)
        gc.freeze()


def load_what_dask_loads_late() -> None:
    """Load and compute once what each Dask process would by itself while it starts: 0.15 s of each."""
    for role in ("scheduler", "worker"):
        for name in dask.config.get(f"distributed.{role}.http.routes"):
            try:
                importlib.import_module(name)
            except ImportError as error:
                logger.info("the pages of %s can't be loaded ahead: %s", name, error)
    importlib.import_module("tornado.platform.asyncio")
    distributed.versions.get_versions()  # kept by a cache
    if sys.platform == "linux":
        # Reads the certificates of the system, into a cache. On macOS that starts threads.
        importlib.import_module("tornado.netutil")._client_ssl_defaults()  # noqa: SLF001 - there is no public way to fill the cache


def threads() -> int:
    """Return how many threads this process has, those of C libraries included where that can be known."""
    try:
        return len(os.listdir("/proc/self/task"))
    except FileNotFoundError:
        return threading.active_count()


def main(descriptor: int) -> int:
    """Serve orders from the socket of this descriptor until it closes."""
    setproctitle("tradewind warm process")
    os.chdir(Path("/"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the caller's terminal is the caller's
    # Ended keepers need no collecting: they write down themselves how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    load_what_dask_loads_late()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as control:
        ForkServer(control).run()
    return 0
