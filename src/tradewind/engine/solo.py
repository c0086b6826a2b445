"""The engine inside the caller's process, on a thread of its own.

A notebook's own event loop may be busy with the user's work for minutes; the engine must not be.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
import threading
import uuid
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from tradewind.config import Settings, data_directory
from tradewind.engine.clock import SteadyClock
from tradewind.engine.engine import Engine
from tradewind.engine.holders import is_dead, this_process
from tradewind.engine.link import HttpAgentLink
from tradewind.engine.rounds import Rounds
from tradewind.engine.service import Service
from tradewind.providers.base import Provider, ProviderSettings
from tradewind.providers.registry import open_provider
from tradewind.store.store import Store

T = TypeVar("T")


class Solo:
    """An engine, its store and its thread. Every verb of :class:`Service`, awaitable on any event loop."""

    def __init__(self, settings: Settings, *, looks_after: bool = True) -> None:
        """Start the thread; the store opens there, while the caller goes on.

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
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tradewind engine", daemon=True)
        self._thread.start()
        self._opened = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
        self.pid = os.getpid()

    def prepare(self, provider: str) -> None:
        """Get a provider ready for a launch that is about to come."""
        self._loop.call_soon_threadsafe(lambda: self._provider(provider).prepare())

    def __getattr__(self, verb: str) -> Any:
        """Return ``verb`` of the service, to be awaited on the caller's loop."""
        if verb.startswith("_") or not hasattr(Service, verb):
            raise AttributeError(verb)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(self._call(verb, args, kwargs), self._loop)
            )

        return call

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait in this thread for ``coroutine``, run on the engine's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Stop looking after clusters and close the store; clusters stay."""
        if self.pid == os.getpid() and self._thread.is_alive():
            self.run(self._aclose())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)

    async def _call(self, verb: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        service = await asyncio.wrap_future(self._opened)
        return await getattr(service, verb)(*args, **kwargs)

    async def _open(self) -> Service:
        self._clock = SteadyClock()
        self._store = await Store.open(self._settings.store or f"sqlite:///{self._directory / 'tradewind.db'}")
        self._link = HttpAgentLink()
        rounds = Rounds(
            store=self._store,
            provider_of=self._provider,
            link=self._link,
            clock=self._clock,
            new_id=new_id,
            installation=installation(self._directory),
            holder=this_process(),
        )
        # What a killed process held would wait for its lease to run out; that it's dead can be seen at once.
        for lease in await self._store.leases():
            if is_dead(lease.holder):
                await self._store.release_lease(lease)
        self._engine = Engine(rounds, self._store, self._clock)
        if self._looks_after:
            self._engine.start()
        return Service(
            self._engine,
            self._store,
            self._clock,
            self._provider,
            workspace=self._settings.workspace,
            owner=getpass.getuser(),
            new_id=new_id,
            new_token=lambda: secrets.token_urlsafe(32),
        )

    async def _aclose(self) -> None:
        await asyncio.wrap_future(self._opened)
        await self._engine.aclose()
        for provider in self._providers.values():
            await provider.aclose()
        self._link.close()
        await self._store.aclose()

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            table = getattr(self._settings, name, None)
            provider = open_provider(
                name,
                ProviderSettings(
                    installation=installation(self._directory),
                    state_directory=str(self._directory),
                    options=asdict(table) if table is not None else {},
                ),
            )
            provider.on_change(self._hint)
            self._providers[name] = provider
        return self._providers[name]

    def _hint(self) -> None:
        self._loop.call_soon_threadsafe(self._poke)

    def _poke(self) -> None:
        if self._opened.done() and not self._opened.exception():
            self._engine.poke()


def new_id(prefix: str) -> str:
    """Return an id that nobody used before: ``worker-3f9a1c20b7``."""
    return f"{prefix}-{secrets.token_hex(5)}"


def installation(directory: Path) -> str:
    """Return the id of this installation, made on the first call and kept in ``directory``."""
    file = directory / "installation"
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = f"solo-{uuid.uuid4().hex[:12]}"
        try:
            # Two first calls at once: the file appears whole or not at all, and the one that was there first stands.
            partial = directory / f"installation.{os.getpid()}"
            partial.write_text(made, encoding="ascii")
            os.link(partial, file)
        except FileExistsError:
            return file.read_text(encoding="ascii").strip()
        finally:
            partial.unlink(missing_ok=True)
        return made
