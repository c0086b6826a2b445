"""Depots: where files that machines fetch are kept, in an object store that the settings name.

::

    <artifacts_url>/
    ├── artifacts/<sha256>/<file name>             a wheel, or modules; written once, the same for everybody
    ├── deposits/<circle>/<sha256>/<file name>     the same, put there by whose it is, from afar: nobody has checked it
    └── packed/<circle>/<hash of the packages>/
        ├── <name>.tar.gz                          an environment, packed by the first machine that made it
        └── record.json                            name, sha256 and size of the one to take

Machines get addresses that are signed for one file and some hours. They never get what signs them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tradewind import wire
from tradewind.boot.process import Publishing
from tradewind.config import SoftwareSettings
from tradewind.engine.bucket import check_signs, directory_of, first_line, opened
from tradewind.errors import BadRequest, ConfigError, MissingExtra, Unavailable
from tradewind.model.environment import Artifact

READ_WITHIN = timedelta(hours=12)
"""How long an address may be read: machines may wait in a queue before they start."""
WRITE_WITHIN = timedelta(hours=6)
DEPOSIT_WITHIN = timedelta(minutes=15)
"""How long a caller from afar may begin to write."""
ANSWER_WITHIN_S = 5.0
"""For one question. Who asks several has an end of his own."""
GIVEN_WITHIN_S = 3.0
"""How long a round waits for files on their way; after that they go on, and the round comes again. Less than it has for
all that it asks of a store, or it would never say that they are on their way."""
AGAIN = timedelta(seconds=2)
BELIEVED_FOR_S = 3600.0
"""How long a file that was there counts as being there: the store's own rules may end it."""
TRIED_AGAIN_AFTER_S = 60.0
"""A store that couldn't be opened is left alone for so long: rounds come each few seconds."""
NAME = re.compile(r"[0-9a-f]{16}\.tar\.gz")
SHA256 = re.compile(r"[0-9a-f]{64}")
RECORD = "record.json"
LONGEST_RECORD = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A packed environment."""

    address: str
    """Where it is read; signed where that is needed."""
    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What a machine says of the archive that it has put there."""

    name: str
    sha256: str
    size: int
    """Bytes."""


class Depot:
    """One store. All it does may be done by any number of processes at once.

    Parameters
    ----------
    url : str
        ``file:///shared/depot``, ``s3://bucket/prefix``, ``gs://…`` or ``az://…``.

    Raises
    ------
    ConfigError
        It isn't such a URL, or what it takes to use it isn't set.
    MissingExtra
        Who speaks with object stores isn't installed.
    OSError
        Its credentials can't sign addresses, or not now.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._directory = directory_of(url)
        self._obstore, self._store = opened(url)
        if self._directory is None:
            check_signs(url, self._obstore, self._store)
        self._there: dict[str, float] = {}  # until when that is believed, by the loop's clock
        self._going: dict[str, asyncio.Task[None]] = {}

    async def give(self, files: Mapping[str, str]) -> dict[str, str]:
        """See that files lie there, and return the address of each, by its sha256.

        Parameters
        ----------
        files : mapping
            Paths on this machine, by sha256. One that lies in the depot already need not be here.

        Raises
        ------
        Unavailable
            Some are still on their way. They go on; ask again.
        OSError
            One is nowhere, or the store says no, in its words.
        """
        keys = {sha256: f"artifacts/{sha256}/{Path(path).name}" for sha256, path in files.items()}
        now = asyncio.get_running_loop().time()
        # Several may wait for one file, so each holds on to the tasks by itself.
        going = {
            key: self._on_its_way(key, Path(files[sha256]), sha256)
            for sha256, key in keys.items()
            if self._there.get(key, now) <= now
        }
        if going:
            await asyncio.wait(going.values(), timeout=GIVEN_WITHIN_S)
            if still := [key for key, task in going.items() if not task.done()]:
                names = ", ".join(key.rpartition("/")[2] for key in still)
                raise Unavailable(f"{names}: on the way to {self.url}", AGAIN)
            for key, task in going.items():
                if self._going.get(key) is task:
                    del self._going[key]
            for task in going.values():
                task.result()
        urls = await asyncio.gather(*(self._address("GET", key, READ_WITHIN) for key in keys.values()))
        return dict(zip(keys, urls, strict=True))

    @property
    def takes_deposits(self) -> bool:
        """Whether others can be let write into it: directories know no signatures."""
        return self._directory is None

    async def lacking(self, circle: tuple[str, ...], artifacts: Sequence[Artifact]) -> tuple[Artifact, ...]:
        """Return those that nobody of the circle has deposited, or not all of. Raises OSError."""
        there = await asyncio.gather(*(self._has(_deposit(circle, one), one.size) for one in artifacts))
        return tuple(one for one, is_there in zip(artifacts, there, strict=True) if not is_there)

    async def depositing(self, circle: tuple[str, ...], artifact: Artifact) -> str:
        """Return the address that takes one file from afar. What is put there is checked by whoever fetches it."""
        return await self._address("PUT", _deposit(circle, artifact), DEPOSIT_WITHIN)

    async def deposited(self, circle: tuple[str, ...], artifact: Artifact) -> str:
        """Return where a machine reads what was deposited."""
        return await self._address("GET", _deposit(circle, artifact), READ_WITHIN)

    async def packed(self, circle: tuple[str, ...], content_hash: str) -> Packed | None:
        """Return the packed environment, if anybody has packed it; OSError where the store doesn't say."""
        place = _place(circle, content_hash)
        try:
            answer = await self._ask(self._obstore.get_async(self._store, f"{place}/{RECORD}"))
            if answer.meta["size"] > LONGEST_RECORD:
                return None
            record = wire.load_json(_Record, bytes(await self._ask(answer.bytes_async())))
        except (FileNotFoundError, BadRequest):
            return None
        # Machines write this: nothing in it is believed that could name something else.
        if not NAME.fullmatch(record.name) or not SHA256.fullmatch(record.sha256):
            return None
        if not await self._has(f"{place}/{record.name}", record.size):
            return None  # the store's own rules have ended it: who comes packs anew
        address = await self._address("GET", f"{place}/{record.name}", READ_WITHIN)
        return Packed(address=address, sha256=record.sha256, size=record.size)

    async def publishing(self, circle: tuple[str, ...], content_hash: str) -> Publishing:
        """Return where a machine may put a packed environment, under a name of its own."""
        place, name = _place(circle, content_hash), f"{secrets.token_hex(8)}.tar.gz"
        if self._directory is not None:
            # Made here: a machine that doesn't find it sees another disk, and mustn't fill that.
            await asyncio.to_thread(os.makedirs, self._directory / place, exist_ok=True)
        archive, record = await asyncio.gather(
            self._address("PUT", f"{place}/{name}", WRITE_WITHIN),
            self._address("PUT", f"{place}/{RECORD}", WRITE_WITHIN),
        )
        return Publishing(archive=archive, record=record, name=name)

    def _on_its_way(self, key: str, path: Path, sha256: str) -> asyncio.Task[None]:
        """Return the task that brings a file; one that failed stays until somebody has heard of it."""
        if key not in self._going:
            self._going[key] = asyncio.create_task(self._bring(key, path, sha256))
        return self._going[key]

    async def _bring(self, key: str, path: Path, sha256: str) -> None:
        try:
            await self._ask(self._obstore.head_async(self._store, key))
        except FileNotFoundError:
            await asyncio.to_thread(_check, path, sha256)  # what lies there once, lies there for good
            try:
                await self._told(self._obstore.put_async(self._store, key, path))
            except FileNotFoundError as error:  # the bucket isn't there
                raise OSError(f"{self.url}: {first_line(error)}") from None
        self._there[key] = asyncio.get_running_loop().time() + BELIEVED_FOR_S
        del self._going[key]

    async def _has(self, key: str, size: int) -> bool:
        try:
            meta = await self._ask(self._obstore.head_async(self._store, key))
        except FileNotFoundError:
            return False
        return bool(meta["size"] == size)

    async def _address(self, method: str, key: str, within: timedelta) -> str:
        if self._directory is not None:
            return f"file://{quote(str(self._directory / key))}"
        return str(await self._ask(self._obstore.sign_async(self._store, method, key, within)))

    async def _ask(self, work: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._told(work)
        except TimeoutError:
            raise OSError(f"{self.url} doesn't answer within {ANSWER_WITHIN_S:.0f} s") from None

    async def _told(self, work: Any) -> Any:
        try:
            return await work
        except FileNotFoundError:
            raise
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise OSError(f"{self.url}: {first_line(error)}") from None


class Depots:
    """The depots of all workspaces; each is opened when it is first needed.

    Parameters
    ----------
    settings : SoftwareSettings
        What names them.
    installation : str
        Whose clusters use them.
    is_shared : bool
        Whether these are clusters of people who don't trust each other with all they have.
    """

    def __init__(self, settings: SoftwareSettings, *, installation: str = "", is_shared: bool = False) -> None:
        self._settings = settings
        self._installation = installation
        self._is_shared = is_shared
        self._depots: dict[str, Depot] = {}
        self._opening: dict[str, asyncio.Task[Depot | Exception]] = {}
        self._unusable: dict[str, tuple[float, Exception]] = {}

    def circle(self, workspace: str, owner: str) -> tuple[str, ...]:
        """Return who uses each other's archives: nobody but their own maker, since who packs decides what others run.

        Names are one person's in one store alone: who has the same one on another server, or computer, is another.
        """
        return self._installation, workspace, owner

    def packs_into(self, depot: Depot) -> bool:
        """Whether machines pack for each other there: on no disk that people share.

        Its paths are no secrets and nothing in them is signed. Whoever may write there would decide what others run.
        """
        return depot.takes_deposits or not self._is_shared

    async def of(self, workspace: str) -> Depot | None:
        """Return the depot of a workspace; None where it has none. Raises as :class:`Depot` does.

        One that opens slowly goes on opening after an OSError says so, and for all that asked.
        """
        url = self._settings.artifacts_urls.get(workspace) or self._settings.artifacts_url
        if url is None:
            return None
        if url in self._depots:
            return self._depots[url]
        at, error = self._unusable.get(url, (0.0, None))
        if error is None or time.monotonic() >= at + TRIED_AGAIN_AFTER_S:
            if url not in self._opening:
                self._opening[url] = asyncio.create_task(self._opened(url))
            opening = self._opening[url]
            if not (await asyncio.wait((opening,), timeout=ANSWER_WITHIN_S))[0]:
                raise OSError(f"{url}: its sign-in doesn't answer within {ANSWER_WITHIN_S:.0f} s")
            found = opening.result()
            if isinstance(found, Depot):
                return found
            error = found
        raise type(error)(str(error))

    async def _opened(self, url: str) -> Depot | Exception:
        """Return a depot, or why there is none, which is remembered for a while."""
        try:
            # Libraries are imported, and a sign-in may ask for credentials.
            found = self._depots[url] = await asyncio.to_thread(Depot, url)
        except (ConfigError, MissingExtra, OSError) as error:
            self._unusable[url] = time.monotonic(), error.with_traceback(None)
            return error
        else:
            return found
        finally:
            del self._opening[url]


def check_urls(settings: SoftwareSettings) -> None:
    """Raise ConfigError for a store that is named as none can be; nothing is opened."""
    for url in (settings.artifacts_url, *settings.artifacts_urls.values()):
        if url is not None:
            directory_of(url)


def _place(circle: tuple[str, ...], content_hash: str) -> str:
    return f"packed/{_named(circle)}/{content_hash}"


def _deposit(circle: tuple[str, ...], artifact: Artifact) -> str:
    return f"deposits/{_named(circle)}/{artifact.sha256}/{artifact.file_name}"


def _named(circle: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(circle).encode()).hexdigest()[:32]


def _check(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise OSError(f"{path} isn't the file that was made: remove it and start the cluster anew")
