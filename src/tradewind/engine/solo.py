"""The engine inside the caller's process, on a thread of its own.

A notebook's own event loop may be busy with the user's work for minutes; the engine must not be.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from tradewind.boot.process import Software
from tradewind.config import Settings, data_directory
from tradewind.engine.access.identity import installation
from tradewind.errors import TradewindError
from tradewind.model.environment import Environment
from tradewind.model.views import DryRun
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.registry import open_provider

if TYPE_CHECKING:
    from tradewind.engine.assembly import Assembly
    from tradewind.engine.clusters import Clusters
    from tradewind.engine.deposits import Deposits
    from tradewind.engine.environments import Environments
    from tradewind.engine.records import Records
    from tradewind.engine.spending.budgets import Budgets

    class Answers(Clusters, Records, Budgets, Environments, Deposits):
        """What the type checker knows of the verbs."""
else:
    Answers = object  # the real ones are imported on the engine's thread, and found by __getattr__

log = logging.getLogger("tradewind")
T = TypeVar("T")


class Solo(Answers):
    """An engine, its store and its thread. Every verb of an assembly, awaitable on any event loop."""

    def __init__(self, settings: Settings, *, looks_after: bool = True) -> None:
        """Start nothing yet: the first verb or :meth:`prepare` does.

        Parameters
        ----------
        settings : Settings
            Of this user on this machine.
        looks_after : bool
            Whether it keeps clusters up. False for programs that only ask, such as a command that ends at once.
        """
        self._settings = settings
        self._looks_after = looks_after
        self._directory = data_directory()
        self._providers: dict[str, Provider] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tradewind engine", daemon=True)
        self._pid = os.getpid()
        self._opening: Future[Assembly] | None = None
        self._is_closed = False

    def prepare(self, provider: str) -> None:
        """Get a provider ready for a launch that is about to come; at once, while the store still opens."""
        self._provider(provider).prepare()
        _ = self._opened

    def needs_software(self, provider: str) -> bool:
        """Return whether what a provider launches must be given the caller's software."""
        can = self._provider(provider).capabilities
        return can.runs_software and not can.same_file_system

    def expect(self, provider: str, planned: DryRun, environment: Environment) -> None:
        """Tell a provider what will be ordered soon; returns at once."""
        software = self._settings.software
        if software.artifacts_url or software.artifacts_urls:
            return  # machines unpack there what another one has packed
        hint = self._provider(provider).expect(planned.instances, Software(environment=environment))
        asyncio.run_coroutine_threadsafe(hint, self._loop).add_done_callback(_note_fault)

    def __getattr__(self, verb: str) -> Any:
        """Return the verb of this name, to be awaited on the caller's loop."""
        if verb.startswith("_"):
            raise AttributeError(verb)

        async def call(*args: Any, **kwargs: Any) -> Any:
            opened = await asyncio.wrap_future(self._opened)
            answer = opened.verbs.named(verb)(*args, **kwargs)
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer, self._loop))

        return call

    @property
    def _opened(self) -> Future[Assembly]:
        """The engine, being opened on its own thread while the caller goes on."""
        with self._lock:
            if self._is_closed:
                raise TradewindError(
                    "this engine was closed: clusters it looked after are reached by a new Cluster(name=…)"
                )
            if not self._thread.is_alive():
                self._thread.start()
            # One that failed is tried again: whoever reads why may mend it and go on in the same notebook.
            if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
                self._opening = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
            return self._opening

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait in this thread for ``coroutine``, run on the engine's loop."""
        _ = self._opened
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Stop looking after clusters and close the store; clusters stay."""
        if self._pid != os.getpid() or self._is_closed:
            return
        with self._lock:
            self._is_closed = True
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._aclose(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
        if not self._loop.is_running():
            self._loop.close()

    async def _open(self) -> Assembly:
        # Imported here, on the engine's thread: the store's library takes half a second to import, and the warm
        # process that local launches fork from can start meanwhile.
        was_collecting = gc.isenabled()
        gc.disable()  # importing makes a million objects and no garbage; looking for some takes a tenth of the time
        try:
            assembly = importlib.import_module("tradewind.engine.assembly")
        finally:
            if was_collecting:
                gc.enable()
        opened: Assembly = await assembly.assemble(
            self._settings,
            self._directory,
            self._provider,
            looks_after=self._looks_after,
        )
        return opened

    async def _aclose(self) -> None:
        # One that never opened has nothing to close, and who asked it something was told why.
        opening = [asyncio.wrap_future(self._opening)] if self._opening is not None else []
        opened = await asyncio.gather(*opening, return_exceptions=True)
        for assembly in opened:
            if not isinstance(assembly, BaseException):
                await assembly.aclose()
        for provider in self._providers.values():
            await provider.aclose()
        # Whoever still waits for an answer must not wait for ever: nothing runs on this loop any more.
        asked = asyncio.all_tasks() - {asyncio.current_task()}
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    def _provider(self, name: str) -> Provider:
        with self._lock:
            if name not in self._providers:
                table = getattr(self._settings, name, None)
                provider = open_provider(
                    name,
                    ProviderSettings(
                        installation=installation(self._directory, self._settings.store),
                        state_directory=str(self._directory),
                        options=asdict(table) if table is not None else {},
                    ),
                )
                provider.on_change(self._hint)
                self._providers[name] = provider
            return self._providers[name]

    def _hint(self) -> None:
        if not self._is_closed:
            self._loop.call_soon_threadsafe(self._poke)

    def _poke(self) -> None:
        opening = self._opening
        if opening is not None and opening.done() and not opening.exception():
            opening.result().engine.poke()


def _note_fault(hint: Future[None]) -> None:
    if not hint.cancelled() and (error := hint.exception()) is not None:
        log.warning("a fault of ours, where machines were to begin early: %r", error)
