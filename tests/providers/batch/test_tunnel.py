"""Ports that lead elsewhere: the same one for as long as anybody needs it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tradewind.model.instance import Contact
from tradewind.providers.batch.tunnel import Stream, Tunnel


@dataclass
class Far:
    """What listens far away, and the way to it."""

    port: int = 0
    is_cut: bool = False
    asked: list[tuple[str, int]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def opens(self, host: str, port: int) -> Stream:
        self.asked.append((host, port))
        if self.is_cut:
            raise OSError("the cable is out")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer


@pytest_asyncio.fixture
async def far() -> AsyncIterator[Far]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data.upper())
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    yield Far(port=server.sockets[0].getsockname()[1])
    server.close()


async def said(address: str, words: bytes) -> bytes:
    """Return what comes back from an address; nothing where the line is cut."""
    port = int(address.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words)
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(len(words)), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_what_is_sent_to_the_port_arrives_at_the_far_address(far: Far, tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path, far.opens)

    near = await tunnel.lead("tls://n17.cluster:38573")

    assert near.startswith("tls://127.0.0.1:")
    assert await said(near, b"hello") == b"HELLO"
    assert far.asked == [("n17.cluster", 38573)]
    await tunnel.aclose()


async def test_much_arrives_whole(far: Far, tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path, far.opens)
    near = await tunnel.lead("tls://n17:1")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(near.rpartition(":")[2]))

    async def send() -> None:
        for _ in range(64):
            writer.write(b"a" * 65536)
            await writer.drain()

    sending = asyncio.create_task(send())
    back = await asyncio.wait_for(reader.readexactly(64 * 65536), 20)
    await sending

    assert set(back) == {ord("A")}
    writer.close()
    await tunnel.aclose()


async def test_the_port_is_the_same_for_who_comes_later(far: Far, tmp_path: Path) -> None:
    first = Tunnel(tmp_path, far.opens)
    near = await first.lead("https://n17:40001")
    await first.aclose()

    later = Tunnel(tmp_path, far.opens)

    assert await later.lead("https://n17:40001") == near
    assert await said(near, b"again") == b"AGAIN"
    await later.aclose()


async def test_while_another_process_holds_the_port_it_is_used_and_then_taken_over(far: Far, tmp_path: Path) -> None:
    first, second = Tunnel(tmp_path, far.opens), Tunnel(tmp_path, far.opens)
    near = await first.lead("tls://n17:1")

    assert await second.lead("tls://n17:1") == near
    await first.aclose()
    with pytest.raises(ConnectionRefusedError):
        await said(near, b"nobody there")
    await second.lead("tls://n17:1")  # as at each look

    assert await said(near, b"hello") == b"HELLO"
    await second.aclose()


async def test_when_the_way_was_cut_the_next_connection_finds_it_again(far: Far, tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path, far.opens)
    near = await tunnel.lead("tls://n17:1")
    far.is_cut = True
    assert await said(near, b"hello") == b""

    far.is_cut = False

    assert await said(near, b"hello") == b"HELLO"
    await tunnel.aclose()


async def test_when_the_far_end_closes_so_does_the_near_one(far: Far, tmp_path: Path) -> None:
    tunnel = Tunnel(tmp_path, far.opens)
    near = await tunnel.lead("tls://n17:1")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(near.rpartition(":")[2]))
    writer.write(b"x")
    await reader.read(1)

    far.writers[0].close()

    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await tunnel.aclose()


async def test_two_addresses_have_two_ports_and_a_dashboard_on_a_node_s_loopback_has_none(
    far: Far, tmp_path: Path
) -> None:
    tunnel = Tunnel(tmp_path, far.opens)
    contact = Contact(scheduler="tls://n17:1", agent="https://n17:2", dashboard="http://127.0.0.1:8787/status")

    near = await tunnel.near(contact)

    assert near.scheduler.rpartition(":")[2] != near.agent.rpartition(":")[2]
    assert near.agent.startswith("https://127.0.0.1:")
    assert near.dashboard is None
    await tunnel.aclose()


async def test_a_port_that_is_promised_to_another_address_is_not_given_away_while_nobody_listens(
    far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradewind.providers.batch.tunnel.PORTS", 3)
    first = Tunnel(tmp_path, far.opens)
    one = await first.lead("tls://n17:1")
    await first.aclose()

    later = Tunnel(tmp_path, far.opens)
    others = {await later.lead("tls://n18:1"), await later.lead("tls://n19:1")}

    assert one not in others
    with pytest.raises(OSError, match="no port of this machine is free"):
        await later.lead("tls://n20:1")
    await later.aclose()
