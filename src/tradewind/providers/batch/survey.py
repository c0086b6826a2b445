"""What a site's own commands say of it: asked early and once, and what hardly changes is taken from memory."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tradewind.errors import NotSetUp, Unavailable
from tradewind.host.records import read_json, write_json
from tradewind.providers.batch.place import Place
from tradewind.providers.batch.queue import Queue
from tradewind.providers.batch.runner import Said

SITE_FOR_S = 20.0
"""How long what there is counts as known."""
REMEMBERED_FOR = timedelta(hours=1)
"""How long an answer that seldom changes is good for, in whatever program."""


class Survey:
    """What a site's own commands say of it, which is the same at all counters.

    Parameters
    ----------
    queue : Queue
        The system.
    place : Place
        Where it is asked.
    """

    def __init__(self, queue: Queue, place: Place) -> None:
        self._queue = queue
        self._place = place
        self._memory = Memory(place.books.root)
        self._is_from_memory = False
        self._clock = time.monotonic
        self._known: tuple[float, Sequence[str]] | None = None
        self._begun: Future[tuple[float, Sequence[Said]]] | None = None

    def begin(self) -> None:
        """Begin to ask, on a thread: whoever asks soon waits for less, or not at all.

        Only for commands of this machine, which any thread may run.
        """
        if self._begun is None and self._known is None:
            self._begun = Future()
            threading.Thread(target=self._ahead, args=(self._begun,), name="tradewind-survey", daemon=True).start()

    def _ahead(self, begun: Future[tuple[float, Sequence[Said]]]) -> None:
        try:
            begun.set_result((self._clock(), asyncio.run(self._asked())))
        except Exception as error:
            begun.set_exception(error)

    async def forget(self) -> bool:
        """Let go of what was taken from memory; returns whether anything was, so that asking may say otherwise."""
        if not self._is_from_memory:
            return False
        self._is_from_memory, self._known, self._begun = False, None, None
        await asyncio.to_thread(self._memory.clear)
        return True

    async def _asked(self) -> Sequence[Said]:
        return await asyncio.gather(*(self._answer(command) for command in self._queue.site_commands()))

    async def _answer(self, command: Sequence[str]) -> Said:
        if not self._queue.changes_seldom(command):
            return await self._place.runner.run(command)
        now = datetime.now(UTC)
        kept = await asyncio.to_thread(self._memory.recall, command, now)
        if kept is not None:
            self._is_from_memory = True
            return Said(code=0, out=kept, error="")
        said = await self._place.runner.run(command)
        if not said.code and said.out:  # nothing may be a database that is away
            await asyncio.to_thread(self._memory.keep, command, said.out, now)
        return said

    async def texts(self) -> Sequence[str]:
        """Return what they say; the same object for as long as it counts as known.

        Raises
        ------
        NotSetUp
            They know of no cluster.
        Unavailable
            Nobody answers.
        """
        if self._known is None or self._clock() - self._known[0] > SITE_FOR_S:
            await self._place.open()
            at, said = await self._latest()
            for one in said:
                if one.code and self._queue.is_nowhere(one.error):
                    raise NotSetUp(
                        f"{self._queue.name}'s commands are on this machine, and know of no cluster: run this on a "
                        f"login node of one, or set them up ({one.error.strip()[:300]})"
                    )
                if one.code:
                    raise Unavailable(f"{self._queue.name} doesn't answer: {one.error.strip()[:300]}")
            self._known = (at, [one.out for one in said])
        return self._known[1]

    async def _latest(self) -> tuple[float, Sequence[Said]]:
        begun, self._begun = self._begun, None
        if begun is not None:
            with suppress(Unavailable):  # it's asked again, and told then
                at, said = await asyncio.wrap_future(begun)
                if self._clock() - at <= SITE_FOR_S:
                    return at, said
        return self._clock(), await self._asked()


class Memory:
    """Answers of commands, kept between programs.

    Parameters
    ----------
    root : Path
        A directory of the user's own; nothing is kept before it is there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def recall(self, command: Sequence[str], now: datetime) -> str | None:
        """Return what a command said lately; None where that isn't known."""
        try:
            kept = read_json(self._file(command)) or {}
            age = now - datetime.fromisoformat(kept["at"])
            return str(kept["out"]) if timedelta(0) <= age < REMEMBERED_FOR else None
        except (OSError, LookupError, TypeError, ValueError):
            return None

    def keep(self, command: Sequence[str], out: str, now: datetime) -> None:
        """Remember what a command said. A disk that takes nothing costs the next asking alone."""
        if self._root.is_dir():
            with suppress(OSError):
                write_json(self._file(command), {"at": now.isoformat(), "out": out})

    def clear(self) -> None:
        """Remember nothing."""
        for file in self._root.glob("said-*.json"):
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def _file(self, command: Sequence[str]) -> Path:
        return self._root / f"said-{hashlib.sha256(chr(0).join(command).encode()).hexdigest()[:16]}.json"
