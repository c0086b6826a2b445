"""The agent of one fake scheduler as engines meet it: JSON over TLS, with the cluster's own keys and token."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

from tradewind import wire
from tradewind.boot.process import KeyPair
from tradewind.errors import Unavailable
from tradewind.model.secret import Secret
from tradewind.providers.fake.machine import Machine
from tradewind.providers.fake.world import FakeWorld

PATIENCE_S = 10.0
"""Seconds within which a request must have come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    authority: str
    token: Secret


class Page:
    """What listens at one port of loopback for one scheduler."""

    def __init__(self, world: FakeWorld, machine: Machine) -> None:
        self._world = world
        self._machine = machine
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        """Begin to listen; what isn't up yet refuses all the same."""
        context = _context(self._machine.boot.keys)
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                answer = await self._verb(head[0].split(" ")[1], headers.get("authorization", ""), body)
                writer.write(_response(200, answer))
                await writer.drain()
        except Unavailable as error:
            # As one that isn't there: a fake answers as well as it lives.
            writer.write(_response(503, json.dumps({"error": str(error)})))
        except (OSError, ValueError, EOFError, TimeoutError):
            return
        finally:
            writer.close()

    async def _verb(self, target: str, authorization: str, body: bytes) -> str:
        contact, agents = self._machine.contact, self._world.agents
        assert contact is not None, "only schedulers have pages"
        # The handshake has shown the authority already: nobody else signs for this port.
        token = Secret(authorization.removeprefix("Bearer "))
        access = _Shown(authority=self._machine.boot.keys.authority, token=token)
        url = urlsplit(target)
        given = json.loads(body) if body else {}
        if url.path == "/v1/status":
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            renews = query.pop("renews", "yes") != "no"
            asked = {name: float(value) for name, value in query.items()}
            page = await agents.pull(
                contact,
                access,
                cursor=int(asked.get("since", 0)),
                target_duration=timedelta(seconds=asked.get("target_duration", 180)),
                paid_for=timedelta(seconds=asked["paid_for"]) if "paid_for" in asked else None,
                renews=renews,
            )
            return wire.dump_json(page)
        if url.path == "/v1/peek":
            return wire.dump_json(await agents.peek(contact, access))
        if url.path == "/v1/retire":
            names, count = tuple(given.get("workers") or ()), int(given.get("n") or 0)
            return json.dumps({"retired": await agents.retire(contact, access, names=names, count=count)})
        if url.path == "/v1/say":
            await agents.say(contact, access, given["message"])
            return "{}"
        raise Unavailable(f"there is no page {url.path}")


def _context(keys: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory(prefix="tradewind-") as directory:  # the ssl module reads keys from files alone
        certificate, key = Path(directory, "certificate.pem"), Path(directory, "key.pem")
        certificate.write_text(keys.certificate)
        key.touch(mode=0o600)
        key.write_text(keys.key.reveal())
        context.load_cert_chain(certificate, key)
    return context


def _response(status: int, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
