"""The line to one host: one SSH connection, kept open and shared, with a program of ours at its other end."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar, cast

import asyncssh

from tradewind.config import SshHost
from tradewind.host.bare.ground import LOADER
from tradewind.line.freight import Freight
from tradewind.line.refusals import NoWay, Places, Silent, Witness, options_for, words_for
from tradewind.line.skew import Skew
from tradewind.line.station import NOISE_LIMIT, Station

logger = logging.getLogger("tradewind.ssh")
if (library := logging.getLogger("asyncssh")).level == logging.NOTSET:
    library.setLevel(logging.WARNING)  # it tells of each channel and each file, where a program asked for our news
T = TypeVar("T")

OPEN_WITHIN_S = 20.0
ANSWER_WITHIN_S = 4.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""Between tries to reach a host that doesn't answer."""
LATEST = 1e11
"""No clock is set later than this, as a POSIX time."""
GLIBC = re.compile(r"([0-9]{1,4}\.[0-9]{1,4})?")


class Line:
    """Opens the connection when it is first needed, and again when it broke.

    Parameters
    ----------
    host : SshHost
        As the settings say.
    places : Places
        Where the keys of known hosts and the user's SSH settings stand.
    poke : callable
        Called when something may have changed on the host.
    table : str
        What the settings call the table that ``host`` stands in: named where something in it must be mended.
    text : bytes
        The program at the other end.
    head : mapping
        Told to it first, besides its directory there.
    """

    def __init__(
        self,
        host: SshHost,
        places: Places,
        poke: Callable[[], None],
        *,
        table: str,
        text: bytes,
        head: Mapping[str, Any],
    ) -> None:
        self.host = host
        self._table = table
        self._text = text
        self._head = {"root": host.directory, **head}
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

    async def ask(self, verb: str, within: float = ANSWER_WITHIN_S, **question: Any) -> dict[str, Any]:
        """Return the host's answer.

        Raises
        ------
        Silent
            None came. Where its ``is_certain``, the host has never heard the question.
        """
        return (await self.exchange(verb, within, question))[1]

    async def exchange(self, verb: str, within: float, question: Mapping[str, Any]) -> tuple[Station, dict[str, Any]]:
        """Return the host's answer, and who gave it: another station knows nothing of what one was told.

        Raises Silent, as :meth:`ask` does.
        """
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
            raise self.distrust(station) from None
        return station, answer

    def distrust(self, station: Station) -> Silent:
        """Hang up on one whose answer makes no sense; return what to raise."""
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
            raise words_for(error, self.host, self._table, witness, self._places) from None
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
            raise Silent(
                _why_no_station(self.host, self._table, said, error), is_certain=True, is_lasting=True
            ) from None
        station.hello = hello
        self.skew.heard(sent_at, _moment(hello), time.time())
        return station

    async def bring(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return where files lie there, by their sha256; see :meth:`Freight.bring`."""
        return await self._freight.bring(files)

    async def through(
        self, host: str, port: int, within: float = OPEN_WITHIN_S
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a stream to an address as the host reaches it; opens the line first, for so many seconds.

        Raises
        ------
        NoWay
            The host answers, and opens none.
        Silent
            It doesn't answer, or the connection broke.
        """
        connection = (await self.station(within)).connection
        try:
            streams = await connection.open_connection(host, port, encoding=None)
        except asyncssh.ChannelOpenError as error:
            raise NoWay(error.reason, is_forbidden=error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED) from None
        except asyncssh.Error as error:
            raise Silent(f"the connection to {self.host.name} broke: {error}") from None
        # They have the methods of asyncio's own.
        return cast("tuple[asyncio.StreamReader, asyncio.StreamWriter]", streams)

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


def _why_no_station(host: SshHost, table: str, said: list[str], error: Exception) -> str:
    last = said[-1] if said else str(error) or "it said nothing"
    if "not found" in last or "No such file" in last:
        return (
            f"{host.name} has no {host.python}: {last}; install Python 3.9 or newer there, or write its path into "
            f"{table} as python"
        )
    if "is needed, and this is" in last:
        return f"{host.name} can't be used: {last}; write the path of another one there into {table} as python"
    return f"{host.name} let us in, but our program doesn't run there: {last}"
