"""A login node that is reached by SSH: one kept connection for commands, letters, notes and tunnels."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, cast

from tradewind.boot import restore
from tradewind.boot.process import Software
from tradewind.config import SshHost
from tradewind.errors import ConfigError, Rejected, StillPreparing, Unavailable
from tradewind.host.bare import CLERK, program
from tradewind.host.records import SAFE
from tradewind.line import Line, NoWay, Places, Silent
from tradewind.model.instance import Contact
from tradewind.providers.base import Order, ProviderSettings
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.place import Ground, Place, plain
from tradewind.providers.batch.runner import KEPT, KEPT_BEGINNINGS, PATIENCE_S, Said
from tradewind.providers.batch.tunnel import Stream, Tunnel

logger = logging.getLogger("tradewind.batch")

DIRECTORY = "~/.cache/tradewind"
ADDRESS = re.compile(r"(?:(?P<user>[^@\s:]+)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*)(?::(?P<port>\d{1,5}))?")
REACHED_WITHIN_S = 12.0
"""A login node of which nothing is heard after this long is told to be away."""
ANSWER_WITHIN_S = 10.0
LOCK_WITHIN_S = 30.0
SLACK_S = 5.0
"""The node says that a command hangs before we think that the node does."""
FURNISH_WITHIN_S = 20.0
"""How long a launch waits for software; who launches then asks again."""
WEB = ("https://", "http://")


class LoginNode(Place):
    """Submits from a login node, of whose nodes this machine sees nothing.

    The caller's software is made there once, on the file system that its nodes share. A program of the standard
    library alone answers there for as long as we are connected; nothing that runs or waits needs it.

    Parameters
    ----------
    name : str
        Of the provider.
    settings : ProviderSettings
        Its own table of the settings.
    prints : mapping
        Variables that every command of the queue is given.
    """

    def __init__(self, name: str, settings: ProviderSettings, prints: Mapping[str, str]) -> None:
        table = cast("dict[str, Any]", settings.options)
        host = login_host(name, table)
        self.host = host
        self._name = name
        self._environment = host.environment
        places = Places(
            known_hosts=os.path.expanduser(str(table.get("known_hosts") or "~/.ssh/known_hosts")),
            config=os.path.expanduser(str(table.get("ssh_config") or "~/.ssh/config")),
        )
        head = {"as": "clerk", "kept": sorted(KEPT), "beginnings": list(KEPT_BEGINNINGS)}
        self.line = Line(host, places, self._poke, table=f"[{name}]", text=program(CLERK), head=head)
        state = Path(settings.state_directory).absolute() / f"{name}-{host.name}"
        super().__init__(Books(state), FarRunner(self, prints))
        self._tunnel = Tunnel(state / "ports", self._open) if table.get("tunnel", True) else None
        self._pythons: dict[str, str] = {}
        """Of environments that stand there, by what they hold."""
        self._awaited: dict[str, Callable[[], None]] = {}
        self._closed: list[str] = []
        self._tried: set[str] = set()
        """Far addresses that were reached once."""

    # The connection

    async def hello(self) -> Mapping[str, Any]:
        """Return what the node says of itself; connects where needed. Raises Unavailable where it doesn't answer."""
        try:
            station = await self.line.station(REACHED_WITHIN_S)
        except Silent as silent:
            self._raise(silent)
        if "refused" in station.hello:
            raise Unavailable(f"[{self._name}] directory can't be used on {self.host.name}: {station.hello['refused']}")
        return station.hello

    async def open(self) -> None:
        """See :meth:`Place.open`."""
        try:
            station = await self.line.station(REACHED_WITHIN_S)
        except Silent as silent:
            if silent.is_lasting:
                raise ConfigError(f"the login node of [{self._name}] can't be used: {silent.words}") from None
            self._raise(silent)
        if "refused" in station.hello:
            station.hang_up()  # another moment is worth another try
            raise ConfigError(f"[{self._name}] directory can't be used on {self.host.name}: {station.hello['refused']}")
        plain(str(station.hello["root"]), self._name)

    async def ask(self, verb: str, within: float = ANSWER_WITHIN_S, **question: Any) -> dict[str, Any]:
        """Return the node's answer. Raises Unavailable."""
        await self.hello()
        try:
            answer = await self.line.ask(verb, within, **question)
        except Silent as silent:
            self._raise(silent)
        if "error" in answer:
            raise Unavailable(f"{self.host.name}: {answer['error']}")
        return answer

    def _raise(self, silent: Silent) -> NoReturn:
        port = f"-p {self.host.port} " if self.host.port else ""
        way = f"ssh {port}{f'{self.host.user}@' if self.host.user else ''}{self.host.address}"
        raise Unavailable(
            f"the login node can't be reached: {silent.words}; see whether `{way}` does, or name another as login in "
            f"[{self._name}]"
        ) from None

    def _poke(self) -> None:
        for poke in set(self._awaited.values()):
            poke()

    async def user(self) -> str:
        """See :meth:`Place.user`."""
        return str((await self.hello())["user"])

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """See :meth:`Place.alone`: the lock is the node's, so other machines of the same user wait too."""
        answer = await self.ask("lock", LOCK_WITHIN_S + 5, within_s=LOCK_WITHIN_S)
        if "held" in answer:
            raise Unavailable(f"somebody else has been submitting from {self.host.name} for {LOCK_WITHIN_S:.0f} s")
        try:
            yield
        finally:
            try:
                await self.ask("unlock")
            except Unavailable as error:
                logger.info("a lock goes with its connection: %s", error)

    # Letters and notes

    async def deliver(self, batch: str, letters: Sequence[Mapping[str, Any]]) -> None:
        """See :meth:`Place.deliver`."""
        await self.ask("deliver", PATIENCE_S, batch=batch, letters=list(letters))

    async def look(self, orders: Sequence[str]) -> None:
        """See :meth:`Place.look`: what changed there is copied to our records."""
        closed, self._closed = self._closed, []
        try:
            known = await asyncio.to_thread(self._notes_of, orders)
            answer = await self.ask("look", orders=known, closed=closed, awaited=list(self._awaited))
        except BaseException:  # whoever looks may be patient for less long than we are
            self._closed += closed
            raise
        await asyncio.to_thread(self._keep, answer["notes"])

    def _notes_of(self, orders: Sequence[str]) -> dict[str, list[str]]:
        """Return the notes that our records have of those that haven't ended."""
        runs = {order: self.books.records.run(order) for order in orders if SAFE.fullmatch(order)}
        known = {order: [name for name in NOTES if run.noted(name)] for order, run in runs.items()}
        return {order: names for order, names in known.items() if "exit.json" not in names}

    def _keep(self, notes: Mapping[str, Mapping[str, str]]) -> None:
        for order, some in notes.items():
            if not SAFE.fullmatch(order):
                continue
            run = self.books.records.run(order)
            run.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, text in some.items():
                if name in NOTES and (not name.endswith(".json") or _is_object(text)):
                    run.note(name, text)
            if run.noted("contact.json") or run.noted("exit.json"):
                self._awaited.pop(order, None)

    async def give_up(self, orders: Sequence[str]) -> None:
        """See :meth:`Place.give_up`."""
        places = await asyncio.to_thread(lambda: [self.books.find(order) for order in orders])
        letters = [found for found in places if found is not None]
        if letters:
            await self.ask("give_up", letters=letters)

    async def tail(self, order: str, first: str, lines: int) -> Sequence[str]:
        """See :meth:`Place.tail`."""
        return [str(line) for line in (await self.ask("tail", order=order, first=first, lines=lines))["lines"]]

    def watch(self, order: str, poke: Callable[[], None]) -> None:
        """See :meth:`Place.watch`."""
        self._awaited[order] = poke

    def closed(self, batch: str) -> None:
        """See :meth:`Place.closed`."""
        self._closed.append(batch)

    async def withdraw(self, batch: Batch) -> None:
        """See :meth:`Place.withdraw`."""
        await super().withdraw(batch)
        try:
            await self.look(())  # maybe nobody looks for a while: the cluster was refused
        except Unavailable as error:
            logger.info("letters of a submission that wasn't made go with the next look: %s", error)

    # Software

    async def furnish(self, order: Order) -> Ground:
        """See :meth:`Place.furnish`; the caller's software is made where the nodes share files, once for all jobs."""
        hello = await self.hello()
        if self._environment is not None:
            python = f"{self._environment}/bin/python"
        else:
            python = await self._made(order.boot.software, str(hello["root"]))
        user = str(hello["uid"])
        return Ground(root=Path(str(hello["root"])), python=python, is_here=False, environ={}, user=user)

    async def _made(self, software: Software | None, root: str) -> str:
        if software is None:
            raise Rejected(
                "it isn't known what software the cluster is to run; start it with Cluster(...) from Python, or write "
                f"an environment that is on {self.host.name} into [{self._name}] as environment"
            )
        key = software.environment.content_hash
        if key not in self._pythons:
            self._pythons[key] = await self._making(key, software, root)
        return self._pythons[key]

    async def _making(self, key: str, software: Software, root: str) -> str:
        local = {sha256: path for sha256, path in software.files.items() if not path.startswith(WEB)}
        try:
            files = {**software.files, **await self.line.bring(local)}
        except Silent as silent:
            self._raise(silent)
        except OSError as error:
            raise Rejected(f"the cluster's software can't be brought to {self.host.name}: {error}") from None
        # Where the caller's own uv travels, the node needs no index to have one.
        uv = next((a.sha256 for a in software.environment.artifacts if a.file_name.startswith("uv-")), None)
        if uv is not None:
            files["uv"] = files[uv]
        order = restore.order(
            software.environment,
            files=files,
            base=software.base,
            archive=software.archive,
            archive_sha256=software.archive_sha256,
            cache=root,
        )
        until = time.monotonic() + FURNISH_WITHIN_S
        while True:
            said = await self.ask("furnish", key=key, program=restore.program(), order=order)
            if "python" in said:
                return str(said["python"])
            if "failed" in said:
                raise Rejected(f"the cluster's software can't be made on {self.host.name}: {said['failed']}")
            if time.monotonic() > until:
                raise StillPreparing(
                    f"{self.host.name} is making the cluster's software ({said['step']}), and jobs are submitted once "
                    "it stands"
                )

    # Ways to the nodes

    async def near(self, contact: Contact) -> Contact:
        """See :meth:`Place.near`: a port of this machine for each address, or the address where no tunnel is wanted."""
        if self._tunnel is None:
            return contact
        near = await self._tunnel.near(contact)
        if contact.agent not in self._tried:
            await self._try(contact.agent)
        return near

    async def _try(self, address: str) -> None:
        """Open a way once, so that a login node that lets nobody through is told as such."""
        host, _, port = address.partition("://")[2].rpartition(":")
        _, writer = await self._open(host, int(port.rstrip("/")))
        writer.close()
        self._tried.add(address)

    async def _open(self, host: str, port: int) -> Stream:
        try:
            return await self.line.through(host, port, REACHED_WITHIN_S)
        except Silent as silent:
            raise OSError(silent.words) from None
        except NoWay as error:
            if error.is_forbidden:
                raise OSError(
                    f"{self.host.name} lets no connection through to {host} ({error.reason}): ask its administrators "
                    f"for AllowTcpForwarding, or reach the nodes by yourself and set tunnel = false in [{self._name}]"
                ) from None
            raise OSError(f"{self.host.name} can't connect to {host}:{port}: {error.reason}") from None

    async def aclose(self) -> None:
        """See :meth:`Place.aclose`."""
        if self._tunnel is not None:
            await self._tunnel.aclose()
        await self.line.aclose()


class FarRunner:
    """Runs commands on a login node, with the variables that its user has there after a login.

    Parameters
    ----------
    node : LoginNode
        Where.
    variables : mapping
        Set for every command.
    """

    def __init__(self, node: LoginNode, variables: Mapping[str, str]) -> None:
        self._node = node
        self._variables = dict(variables)

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        """See :meth:`~tradewind.providers.batch.runner.CommandRunner.run`; ``keeps`` stands for the node's lock."""
        said = await self._node.ask(
            "run",
            patience_s + SLACK_S,
            command=list(command),
            text=text,
            holds=bool(keeps),
            variables=self._variables,
            within_s=patience_s,
        )
        name = self._node.host.name
        if "absent" in said:
            raise ConfigError(f"{name} has {said['absent']}: have a module loaded at login, or name another login node")
        if "late" in said:
            raise Unavailable(f"{command[0]} on {name} didn't answer within {patience_s:.0f} s")
        return Said(code=int(said["code"]), out=str(said["out"]), error=str(said["err"]))


NOTES = frozenset({"instance.json", "contact.json", "ready", "stopping", "exit.json"})


def login_host(name: str, table: Mapping[str, Any]) -> SshHost:
    """Return the login node that a table of the settings names. Raises ConfigError for what can't be one."""
    found = ADDRESS.fullmatch(str(table["login"]).strip())
    if found is None:
        raise ConfigError(
            f"[{name}] login is {table['login']!r}; write it as for ssh: login.example.org, me@login.example.org, "
            "or with its port, me@login.example.org:2222"
        )
    environment = table.get("environment")
    if environment is not None and not str(environment).startswith("/"):
        raise ConfigError(f"[{name}] environment is {environment!r}; write its absolute path on the login node")
    return SshHost(
        address=found["host"],
        name=found["host"],
        user=found["user"],
        port=int(found["port"]) if found["port"] else None,
        key=table.get("key"),
        python=str(table.get("python") or "python3"),
        environment=environment,
        directory=str(table.get("directory") or DIRECTORY),
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
