"""A line is opened when it is needed, shared by all who ask, and opened again when it broke."""

import asyncio
import time
from pathlib import Path

import pytest

from tradewind.line import Line, NoWay, Silent

from .cable import Cable
from .conftest import Desk
from .sshd import sshd


async def answer(line: Line) -> dict[str, object]:
    return await line.ask("have", files={}, shared={})


async def answer_again(line: Line, within_s: float = 10) -> dict[str, object]:
    until = time.monotonic() + within_s
    while True:
        try:
            return await answer(line)
        except Silent:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)


async def test_all_who_ask_share_one_connection(desk: Desk) -> None:
    line = desk.line()

    stations = await asyncio.gather(*(line.station() for _ in range(5)))
    answers = await asyncio.gather(*(answer(line) for _ in range(5)))

    assert all(one is stations[0] for one in stations)
    assert all(one["files"] == {} for one in answers)


async def test_a_line_that_broke_is_opened_again_and_whoever_listens_is_poked(desk: Desk, cable: Cable) -> None:
    line = desk.line(port=cable.port)
    first = await line.station()
    assert (await answer(line))["files"] == {}
    before = desk.pokes

    cable.cut()
    cable.mend()

    assert (await answer_again(line))["files"] == {}
    assert await line.station() is not first
    assert desk.pokes >= before + 2, "once that it broke, once that it is back"


async def test_a_question_whose_answer_is_lost_may_have_been_heard(desk: Desk, cable: Cable) -> None:
    line = desk.line(port=cable.port)
    await line.station()
    cable.is_deaf = True

    with pytest.raises(Silent, match=r"ws1 didn't answer within 1 s") as silent:
        await line.ask("have", 1.0, files={}, shared={})

    assert not silent.value.is_certain


async def test_a_host_that_failed_is_left_alone_for_a_moment(desk: Desk, cable: Cable) -> None:
    line = desk.line(port=cable.port)
    cable.cut()
    with pytest.raises(Silent):
        await line.station()
    cable.mend()

    with pytest.raises(Silent) as still:
        await line.station()

    assert still.value.is_certain, "it wasn't asked"
    assert (await answer_again(line))["files"] == {}


HELLO = '"now": 1e9, "python": "3.11.0", "root": "/r", "platform": "linux-x86_64", "glibc": "2.36"'


@pytest.mark.parametrize(
    "lines",
    [
        ["{}"],
        ['{"now": "soon"}'],
        [f"{{{HELLO.replace('2.36', 'new')}}}"],
        [f"{{{HELLO}}}", '{"id": 1}'],
        [f"{{{HELLO}}}", '{"id": 1, "now": 1e999}'],
        [f"{{{HELLO}}}", "[" * 30_000],
    ],
)
async def test_what_makes_no_sense_is_no_answer(desk: Desk, lines: list[str]) -> None:
    liar = desk.directory / "liar"
    said = "\n".join(lines)
    liar.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexec sleep 0.3\n")
    liar.chmod(0o755)

    with pytest.raises(Silent, match="ws1"):
        await answer(desk.line(python=str(liar)))


async def test_a_login_shell_that_talks_disturbs_nobody(tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_text('#!/bin/sh\necho "Welcome!"; echo "{broken"; exec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    noise.chmod(0o755)
    directory = tmp_path / "sshd"
    directory.mkdir()
    with sshd(directory, f"ForceCommand {noise}\n") as server:
        desk = Desk(server, tmp_path)

        assert (await answer(desk.line()))["files"] == {}

        await desk.aclose()


async def test_a_way_leads_through_a_host_to_what_it_reaches(desk: Desk) -> None:
    reader, writer = await desk.line().through("127.0.0.1", desk.server.port)  # sshd itself says something first

    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"SSH-2.0")
    writer.close()


async def test_a_way_to_where_nobody_listens_is_none_and_is_not_forbidden(desk: Desk) -> None:
    with pytest.raises(NoWay) as none:
        await desk.line().through("127.0.0.1", 1)

    assert not none.value.is_forbidden


async def test_a_host_that_opens_ways_to_nobody_is_told_from_one_that_can_not(tmp_path: Path) -> None:
    directory = tmp_path / "sshd"
    directory.mkdir()
    with sshd(directory, "AllowTcpForwarding no\n") as closed:
        desk = Desk(closed, tmp_path)

        with pytest.raises(NoWay) as none:
            await desk.line().through("127.0.0.1", closed.port)

        assert none.value.is_forbidden
        await desk.aclose()
