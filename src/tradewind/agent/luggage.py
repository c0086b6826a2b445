"""How a caller's own code follows to the scheduler and the workers while they run: over Dask's own TLS.

The scheduler holds what came last. A worker asks for it before it joins, so no task runs without; what comes later goes
to all. Code is either a directory that these machines see as well, or a file that is brought piece by piece.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

from tradewind.agent.imports import import_from
from tradewind.agent.telling import tell_all
from tradewind.agent.unpacked import Piece, Unpacked, default_home
from tradewind.agent.unpacking import CantTake

if TYPE_CHECKING:
    from distributed import Scheduler, Worker

logger = logging.getLogger("distributed.worker.tradewind")

HELD = "tradewind_code_held"
"""Dask's name for the question what the scheduler has; workers and clients ask it."""
LACKING = "tradewind_code_lacking"
BRING = "tradewind_code_bring"
FETCH = "tradewind_code_fetch"
USE = "tradewind_code_use"
ROUND = "tradewind_code_round"
"""What a worker says of itself when it joins: which was the last code it knows of."""
CHUNK = 4 * 2**20
"""Bytes of a file in one message: the scheduler has others to talk to meanwhile."""
ASKED_WITHIN_S = 10.0
TAKEN_WITHIN_S = 60.0
"""For each worker to fetch it and to put it in use; who needs longer gets it all the same, and isn't waited for."""
MOST = 2**30
"""Bytes of one file: a client that lets more travel has lost its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Luggage:
    """What is imported in front of all else, complete: what isn't in it, was taken away."""

    round: int = 0
    """Counts up with each that was handed over; 0 is nothing yet."""
    places: tuple[Any, ...] = ()
    """Each a directory that is there already, as text, or a :class:`Piece` as data; the first one first."""
    tops: Mapping[str, int] = field(default_factory=dict)
    """Names of modules and packages that have ever changed, each with the round that it last changed in: whoever
    missed some rounds knows what to load anew."""

    def dump(self) -> dict[str, Any]:
        """Return what travels."""
        return {"round": self.round, "places": list(self.places), "tops": dict(self.tops)}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Luggage:
        """Return what travelled."""
        return cls(round=data["round"], places=tuple(data["places"]), tops=dict(data["tops"]))

    def changed_since(self, round_: int) -> frozenset[str]:
        """Return the names of what has changed after a round."""
        return frozenset(name for name, changed in self.tops.items() if changed > round_)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The files in it."""
        return tuple(Piece.read(place) for place in self.places if not isinstance(place, str))


async def put_in_use(luggage: Luggage, store: Unpacked, fetch: Any, *, since: int) -> tuple[str, ...]:
    """Let this process, which has that of round ``since``, import from ``luggage``; return what it loads anew.

    Raises CantTake.
    """
    places = []
    for place in luggage.places:
        places.append(place if isinstance(place, str) else await store.directory(Piece.read(place), fetch))
    return await asyncio.to_thread(import_from, places, luggage.changed_since(since))


class CodeAtScheduler(SchedulerPlugin):  # type: ignore[misc]  # distributed is read without types
    """The caller's code as one scheduler holds it: for itself, since graphs are read there, and for its workers.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        In its event loop, before anybody connects.
    store : Unpacked, optional
        Where files are kept; default the user's own.
    within_s : float, optional
        Seconds that each worker is waited for.
    """

    name = "tradewind-code"

    def __init__(
        self, scheduler: Scheduler, store: Unpacked | None = None, *, within_s: float = TAKEN_WITHIN_S
    ) -> None:
        self._scheduler = scheduler
        self._within_s = within_s
        self._store = store
        self._luggage = Luggage()
        self._by = ""
        self._contents: dict[str, str] = {}
        self._order = asyncio.Lock()
        for op, handler in {
            HELD: self.held,
            LACKING: self.lacking,
            BRING: self.bring,
            FETCH: self.fetch,
            USE: self.use,
        }.items():
            scheduler.handlers[op] = handler
        scheduler.add_plugin(self)

    def held(self, contents: bool = False) -> dict[str, Any]:
        """Return what is in use; with ``contents``, also whose it is and the sha256 of each file, by its name."""
        answer = self._luggage.dump()
        return {**answer, "by": self._by, "contents": self._contents} if contents else answer

    def lacking(self, pieces: Sequence[dict[str, Any]]) -> list[str]:
        """Return the sha256 of those that aren't here."""
        store = self._its_store()
        return [piece.sha256 for piece in map(Piece.read, pieces) if not store.has(piece)]

    async def bring(self, piece: dict[str, Any], offset: int, data: bytes, transfer: str = "") -> dict[str, Any]:
        """Take a part of a file: in their order, the first one at 0; the last one's answer says what came of it.

        Each ``transfer`` has its own name, 32 hex digits: two clients may bring the same file at a time.
        """
        try:
            if transfer and not re.fullmatch("[0-9a-f]{32}", transfer):
                raise CantTake(f"a transfer can't be called {transfer!r:.80}")  # noqa: TRY301 - as what follows does
            return await self._bring(Piece.read(piece), offset, data, transfer)
        except CantTake as error:
            return {"refused": str(error)}

    async def _bring(self, piece: Piece, offset: int, data: bytes, transfer: str) -> dict[str, Any]:
        if piece.size > MOST:
            raise CantTake(f"{piece.file_name} has {piece.size / 2**20:,.0f} MiB; {MOST / 2**20:,.0f} may travel")
        store = self._its_store()
        draft = store.home / f"{piece.sha256}.{transfer or 'one'}.brought"
        is_last = offset + len(data) >= piece.size
        try:
            await asyncio.to_thread(_append, draft, offset, data)
            if is_last:
                await store.write(piece, _read(draft))
                draft.unlink(missing_ok=True)
        except BaseException as error:
            draft.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise store.refusal(piece, error) from None
            raise
        return {"status": "OK"}

    async def fetch(self, sha256: str, offset: int) -> bytes:
        """Return a part of a file; empty at its end."""
        store = self._its_store()
        piece = Piece.read({"sha256": sha256})
        return await asyncio.to_thread(_part, store.packed(piece), offset)

    async def use(
        self, by: str, places: Sequence[Any], tops: Sequence[str], contents: dict[str, str], said: str = ""
    ) -> dict[str, Any]:
        """Put code in use here and on all workers, and return when it is.

        Parameters
        ----------
        by : str
            Whose it is, for others to read.
        places, tops : sequence
            See :class:`Luggage`.
        contents : dict
            The sha256 of each of its files, by name: what the next change is told from.
        said : str
            Shown to each client, where somebody else's code goes.

        Returns
        -------
        dict
            ``workers`` that have it, names of modules that are loaded anew (``reloaded``), and why others haven't it
            (``failed``, by worker); ``refused`` where nothing was done.
        """
        async with self._order:
            before = self._luggage
            number = before.round + 1
            luggage = Luggage(round=number, places=tuple(places), tops={**before.tops, **dict.fromkeys(tops, number)})
            try:
                reloaded = set(await put_in_use(luggage, self._its_store(), _nowhere, since=before.round))
            except (CantTake, OSError) as error:
                return {"refused": f"the scheduler can't take it: {error}"}
            replaced, self._by = self._by, by
            self._luggage, self._contents = luggage, dict(contents)
        # Not in their order any more: who comes next needn't wait for a worker that stands still, and on each of them
        # the newest wins.
        answers = await tell_all(self._scheduler, {"op": USE, "luggage": luggage.dump()}, self._within_s)
        if said and replaced != by:
            self._scheduler.log_event("warn", said)  # text: a client would unpickle anything else
        failed = {}
        for address, answer in answers.items():
            if isinstance(answer, dict) and answer.get("status") == "OK":
                reloaded.update(answer["reloaded"])
            else:
                failed[self._name(address)] = _trouble(answer)
        return {"workers": len(answers) - len(failed), "reloaded": sorted(reloaded), "failed": failed}

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Give a worker what came while it was joining."""
        state = scheduler.workers.get(worker)
        if state is not None and state.extra.get(ROUND, self._luggage.round) != self._luggage.round:
            # By the stream that its tasks come by, and read in order: it has it before any of them.
            scheduler.worker_send(worker, {"op": USE, "luggage": self._luggage.dump()})

    async def close(self) -> None:
        """Let go of the files in use."""
        if self._store is not None:
            self._store.close()

    def _its_store(self) -> Unpacked:
        if self._store is None:
            self._store = Unpacked(default_home())
        return self._store

    def _name(self, address: str) -> str:
        state = self._scheduler.workers.get(address)
        return str(state.name) if state is not None else address


class CodeAtWorker(WorkerPlugin):  # type: ignore[misc]
    """The caller's code on one worker. Given to a worker at its making, so it is there before the worker joins.

    Parameters
    ----------
    store : Unpacked, optional
        Where files are kept; default the user's own.
    """

    name = "tradewind-code"

    def __init__(self, store: Unpacked | None = None) -> None:
        self._store = store
        self._round = 0
        self._one_at_a_time = asyncio.Lock()
        self._worker: Worker | None = None

    async def setup(self, worker: Worker) -> None:
        """Ask the scheduler for what there is. A worker that can't have it doesn't start: it would run other code."""
        self._worker = worker
        worker.handlers[USE] = self.use
        worker.stream_handlers[USE] = self.use_or_leave
        worker.startup_information[ROUND] = lambda _: self._round
        try:
            async with asyncio.timeout(ASKED_WITHIN_S):
                answer = await getattr(worker.scheduler, HELD)()
        except Exception as error:  # noqa: BLE001 - whatever a scheduler of another version may answer
            logger.warning("It can't be asked whether there is newer code: %r", error)
            return
        if answer is not None and answer["round"]:
            await self._use(Luggage.load(answer))

    async def use(self, luggage: Mapping[str, Any]) -> dict[str, Any]:
        """Put code in use; the answer says which modules are loaded anew, or why it can't be done."""
        try:
            return {"status": "OK", "reloaded": list(await self._use(Luggage.load(luggage)))}
        except (CantTake, OSError) as error:
            return {"status": "refused", "why": str(error)}

    async def use_or_leave(self, luggage: Mapping[str, Any]) -> None:
        """Put code in use that came while this worker joined, or close it."""
        answer = await self.use(luggage)
        if answer["status"] != "OK" and self._worker is not None:
            logger.error("Closing: %s", answer["why"])
            asyncio.ensure_future(self._worker.close(reason=answer["why"]))

    async def teardown(self, worker: Worker) -> None:
        """Let go of the files in use."""
        if self._store is not None:
            self._store.close()

    async def _use(self, luggage: Luggage) -> tuple[str, ...]:
        async with self._one_at_a_time:
            if luggage.round <= self._round:
                return ()  # It was on its way for longer than a newer one, or comes a second time.
            if self._store is None:
                self._store = Unpacked(default_home())
            reloaded = await put_in_use(luggage, self._store, self._fetch, since=self._round)
            self._round = luggage.round
            return reloaded

    async def _fetch(self, piece: Piece) -> AsyncIterator[bytes]:
        assert self._worker is not None
        offset = 0
        while offset < piece.size:
            part = await getattr(self._worker.scheduler, FETCH)(sha256=piece.sha256, offset=offset)
            if not part:
                raise CantTake(f"the scheduler has {piece.file_name} no more")
            offset += len(part)
            yield part


async def _nowhere(piece: Piece) -> AsyncIterator[bytes]:
    raise CantTake(f"{piece.file_name} wasn't brought to {socket.gethostname()}")
    yield b""


def _append(path: Any, offset: int, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("wb" if offset == 0 else "ab") as file:
        if file.tell() != offset:
            raise CantTake(f"a part of {path.name} is missing; try again")
        file.write(data)


async def _read(path: Any) -> AsyncIterator[bytes]:
    offset = 0
    while part := await asyncio.to_thread(_part, path, offset):
        offset += len(part)
        yield part


def _part(path: Any, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return bytes(file.read(CHUNK))


def _trouble(answer: Any) -> str:
    if isinstance(answer, BaseException):
        return f"it doesn't answer ({type(answer).__name__}), and takes it when it does"
    return str(answer.get("why")) if isinstance(answer, dict) else "it knows of no such message"
