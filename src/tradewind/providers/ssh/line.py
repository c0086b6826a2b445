"""The line to one host: one SSH connection, kept open and shared, with a station at its other end."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import asyncssh

from tradewind.boot import restore
from tradewind.boot.process import Software
from tradewind.config import SshHost
from tradewind.host.bare import program
from tradewind.host.bare.ground import LOADER
from tradewind.providers.ssh.freight import Freight
from tradewind.providers.ssh.refusals import Places, Silent, Witness, options_for, words_for
from tradewind.providers.ssh.sight import nonsense
from tradewind.providers.ssh.skew import Skew

logger = logging.getLogger("tradewind.ssh")
if (library := logging.getLogger("asyncssh")).level == logging.NOTSET:
    library.setLevel(logging.WARNING)  # it tells of each channel and each file, where a program asked for our news
T = TypeVar("T")

OPEN_WITHIN_S = 20.0
ANSWER_WITHIN_S = 4.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""Between tries to reach a host that doesn't answer."""
NOISE_LIMIT = 64 * 1024
"""Bytes that a login shell may say before our program does."""
AHEAD_S = 900.0
"""How long a step may take of what is made before anything is ordered."""
LINE_LIMIT = 16 * 1024 * 1024
LATEST = 1e11
"""No clock is set later than this, as a POSIX time."""
GLIBC = re.compile(r"([0-9]{1,4}\.[0-9]{1,4})?")


class Station:
    """The other end, as long as its connection lasts."""

    def __init__(self, connection: asyncssh.SSHClientConnection, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self.connection = connection
        self.hello: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        """What it has said of each run directory."""
        self.is_open = True
        self._process = process
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._rest = b""

    async def listen(self, poke: Callable[[], None]) -> None:
        """Hear answers until the connection ends."""
        try:
            while True:
                line = await self.line()
                if "poke" in line:
                    poke()
                elif (future := self._waiting.pop(int(line["id"]), None)) is not None and not future.done():
                    future.set_result(line)
        except (OSError, EOFError, ValueError, KeyError, TypeError, OverflowError, asyncssh.Error) as error:
            logger.debug("a station is gone: %r", error)
        finally:
            self.hang_up()
            poke()

    async def line(self, limit: int = LINE_LIMIT) -> dict[str, Any]:
        """Return the next line; skips what is none of ours. Raises EOFError or ValueError where none comes."""
        skipped = 0
        while True:
            while b"\n" not in self._rest:
                data = await self._process.stdout.read(1 << 16)
                if not data:
                    raise EOFError
                self._rest += data
                if len(self._rest) > limit:
                    raise ValueError("it says more than it should")
            line, self._rest = self._rest.split(b"\n", 1)
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                return found
            skipped += len(line) + 1
            if skipped > NOISE_LIMIT:
                raise ValueError("it says something else")

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer. Raises ConnectionError where the line breaks before."""
        if not self.is_open:
            raise ConnectionError
        self._number += 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = future
        self._process.stdin.write(json.dumps({**question, "id": self._number}).encode() + b"\n")
        return await future

    def hang_up(self) -> None:
        """End the connection; all who wait are told so."""
        self.is_open = False
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ConnectionError())
        self.connection.close()


class Line:
    """Opens the connection when it is first needed, and again when it broke.

    Parameters
    ----------
    host : SshHost
        From the inventory.
    places : Places
        Where the keys of known hosts and the user's SSH settings stand.
    poke : callable
        Called when something may have changed on the host.
    text : bytes, optional
        The program at the other end; default a station.
    head : mapping, optional
        Told to it first.
    """

    def __init__(
        self,
        host: SshHost,
        places: Places,
        poke: Callable[[], None],
        *,
        text: bytes | None = None,
        head: Mapping[str, Any] | None = None,
    ) -> None:
        self.host = host
        self._text = program() if text is None else text
        self._head = {"as": "station", "root": host.directory, **(head or {})}
        self.skew = Skew()
        self._places = places
        self._poke = poke
        self._station: Station | None = None
        self._opening: asyncio.Task[Station] | None = None
        self._listening: set[asyncio.Task[None]] = set()
        self._failure: Silent | None = None
        self._pause_s = 0.0
        self._next_try = 0.0
        self._freight = Freight(host.name, self.ask, self._connection, self._failed)
        self._heard: Any = None
        """Which answer to a look was heard last, in the host's words."""

    async def ask(self, verb: str, within: float = ANSWER_WITHIN_S, **question: Any) -> dict[str, Any]:
        """Return the host's answer.

        Raises
        ------
        Silent
            None came. Where its ``is_certain``, the host has never heard the question.
        """
        return (await self._ask(verb, within, question))[1]

    async def look(self, within: float, installation: str) -> dict[str, Any]:
        """Return the facts of all runs there, by handle; what ``installation`` has there lives on by it. Raises Silent.

        It isn't the question that keeps it alive, but the word which answer was heard: see
        :mod:`tradewind.host.bare.silence`.
        """
        question = {"heard": self._heard, "installation": installation}
        station, answer = await self._ask("list", within, question)
        if "error" in answer:
            raise Silent(f"{self.host.name} can't read its records: {answer['error']}")
        if "at" not in answer or not isinstance(answer.get("runs"), dict):
            raise self._senseless(station)
        self._heard = answer["at"]
        for handle, facts in answer["runs"].items():
            # It says what changed since it was asked last; another station says everything.
            station.runs.pop(handle, None)
            if facts is None:
                continue
            if why := nonsense(facts):
                logger.warning("%s says something of run %s that makes no sense: %s", self.host.name, handle, why)
                continue
            station.runs[handle] = facts
        return station.runs

    async def _ask(self, verb: str, within: float, question: dict[str, Any]) -> tuple[Station, dict[str, Any]]:
        station = await self.station(within)
        sent_at = time.time()
        try:
            async with asyncio.timeout(within):
                answer = await station.ask({"verb": verb, **question})
        except TimeoutError:
            station.hang_up()
            raise self._failed(Silent(f"{self.host.name} didn't answer within {within:.0f} s")) from None
        except ConnectionError:
            raise self._failed(Silent(f"the connection to {self.host.name} broke")) from None
        try:
            self.skew.heard(sent_at, _moment(answer), time.time())
        except ValueError:
            raise self._senseless(station) from None
        return station, answer

    def _senseless(self, station: Station) -> Silent:
        station.hang_up()
        return self._failed(Silent(f"{self.host.name} answers, but what it says makes no sense"))

    async def station(self, within: float = OPEN_WITHIN_S) -> Station:
        """Return the open station, opening it where needed. Raises Silent, certainly before anything was asked."""
        if self._station is not None and self._station.is_open:
            return self._station
        if self._opening is None:
            if self._failure is not None and time.monotonic() < self._next_try:
                raise Silent(self._failure.words, is_certain=True, is_lasting=self._failure.is_lasting)
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        try:
            # Shielded: others wait for the same connection, and it goes on while nobody does.
            async with asyncio.timeout(within):
                return await asyncio.shield(self._opening)
        except TimeoutError:
            raise Silent(f"{self.host.name} doesn't answer at {self.host.address} yet", is_certain=True) from None

    def _opened(self, task: asyncio.Task[Station]) -> None:
        self._opening = None
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Silent):
            self._failed(error)
        elif error is None:
            self._failure, self._pause_s = None, 0.0

    def _failed(self, failure: Silent) -> Silent:
        self._failure = failure
        self._pause_s = min(max(FIRST_PAUSE_S, self._pause_s * 2), LONGEST_PAUSE_S)
        self._next_try = time.monotonic() + self._pause_s
        return failure

    async def _open(self) -> Station:
        witness = Witness(self._places)
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                connection = await asyncssh.connect(
                    self.host.address, client_factory=lambda: witness, **options_for(self.host, self._places)
                )
                try:
                    station = await self._greeted(connection)
                except BaseException:
                    connection.close()
                    raise
        except Silent:
            raise
        except (OSError, asyncssh.Error, ValueError, TimeoutError) as error:
            raise words_for(error, self.host, witness, self._places) from None
        self._station = station
        listening = asyncio.create_task(station.listen(self._poke))
        self._listening.add(listening)
        listening.add_done_callback(self._listening.discard)
        self._poke()
        return station

    async def _greeted(self, connection: asyncssh.SSHClientConnection) -> Station:
        """Start the station's program and hear its first line."""
        process = await connection.create_process(f"exec {self.host.python} -I -u -c '{LOADER}'", encoding=None)
        text, head = self._text, json.dumps(self._head).encode()
        sent_at = time.time()
        with suppress(BrokenPipeError):  # what became of it is said below
            process.stdin.write(b"%d\n" % len(text) + text + head + b"\n")
        station = Station(connection, process)
        try:
            hello = _checked(await station.line(NOISE_LIMIT))
        except (EOFError, ValueError) as error:
            said = bytes(await process.stderr.read(2000)).decode(errors="replace").strip().splitlines()
            raise Silent(_why_no_station(self.host, said, error), is_certain=True, is_lasting=True) from None
        station.hello = hello
        self.skew.heard(sent_at, _moment(hello), time.time())
        return station

    async def begin(self, software: Software) -> None:
        """Have the host begin to make what needs no file from here; where it can't, its order will say so."""
        base = software.environment.content_hash
        order = restore.order(software.environment, files={}, base=base, task="ahead", timeout_s=AHEAD_S)
        try:
            answer = await self.ask("ahead", program=restore.program(), order=order)
        except Silent as silent:
            logger.debug("nothing is made ahead: %s", silent)
            return
        if "error" in answer:
            logger.debug("nothing is made ahead on %s: %s", self.host.name, answer["error"])

    async def bring(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return where files lie there, by their sha256; see :meth:`Freight.bring`."""
        return await self._freight.bring(files)

    async def _connection(self) -> asyncssh.SSHClientConnection:
        return (await self.station()).connection

    async def aclose(self) -> None:
        """End the connection."""
        await self._freight.aclose()
        tasks = [*self._listening, *([self._opening] if self._opening is not None else [])]
        if self._station is not None:
            self._station.hang_up()
            with suppress(TimeoutError, OSError, asyncssh.Error):
                await within_s(self._station.connection.wait_closed(), 2.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def within_s(work: Awaitable[T], seconds: float) -> T:
    """Return what ``work`` does. Raises TimeoutError where it takes longer."""
    return await asyncio.wait_for(work, seconds)


def _checked(hello: dict[str, Any]) -> dict[str, Any]:
    """Return what a station says of its host. Raises ValueError where that can't be so."""
    _moment(hello)
    whole = {"root": "", "platform": "", "glibc": "", **hello}
    if not all(isinstance(whole[key], str) for key in ("root", "platform")) or not GLIBC.fullmatch(str(whole["glibc"])):
        raise ValueError("it says something else")
    return whole


def _moment(words: Mapping[str, Any]) -> float:
    """Return the time of day there. Raises ValueError for what is none."""
    now = words.get("now")
    if not (isinstance(now, int | float) and 0 <= now < LATEST):
        raise ValueError("it doesn't say what time it is")
    return float(now)


def _why_no_station(host: SshHost, said: list[str], error: Exception) -> str:
    last = said[-1] if said else str(error) or "it said nothing"
    if "not found" in last or "No such file" in last:
        return (
            f"{host.name} has no {host.python}: {last}; install Python 3.9 or newer there, or write its path into "
            "[[ssh.hosts]] as python"
        )
    if "is needed, and this is" in last:
        return f"{host.name} can't be used: {last}; write the path of another one there into [[ssh.hosts]] as python"
    return f"{host.name} let us in, but our program doesn't run there: {last}"
