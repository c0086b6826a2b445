"""What a host's line knows of runs is what the station that is there now has said."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.line.sshd import Sshd
from tradewind.config import SshHost
from tradewind.line import Places, Silent
from tradewind.providers.ssh.host_line import HostLine

from .test_sight import facts

STATION = """#!/usr/bin/python3
import json, pathlib, sys, time
answers = {answers}
count = pathlib.Path({count!r})
mine = answers[int(count.read_text()) if count.exists() else 0]
count.write_text(str(answers.index(mine) + 1))
def tell(**words):
    print(json.dumps(dict(words, now=time.time())), flush=True)
tell(python="3.11.0", root="/r", platform="linux-x86_64", glibc="2.36")
there = sys.stdin.buffer
there.read(int(there.readline()))
there.readline()
for number, question in enumerate(there):
    tell(id=json.loads(question)["id"], at=number, runs=mine[number])
"""


def line_to(server: Sshd, directory: Path, *answers: list[object]) -> HostLine:
    """Return a line whose stations, one after the other, give these answers to looks."""
    said = f"json.loads({json.dumps(answers)!r})"
    python = directory / "station"
    python.write_text(STATION.format(answers=said, count=str(directory / "count")))
    python.chmod(0o755)
    host = SshHost(name="ws1", address="127.0.0.1", port=server.port, key=str(server.key), python=str(python))
    places = Places(known_hosts=str(server.known_hosts), config=str(directory / "no_ssh_config"))
    return HostLine(host, places, lambda: None)


async def test_a_station_tells_what_changed_and_the_rest_stays(server: Sshd, tmp_path: Path) -> None:
    line = line_to(server, tmp_path, [{"o-1": facts(), "o-2": facts()}, {"o-2": None, "o-3": facts()}])

    first = set(await line.look(3, "x"))
    later = set(await line.look(3, "x"))

    assert (first, later) == ({"o-1", "o-2"}, {"o-1", "o-3"})
    await line.aclose()


async def test_of_what_an_earlier_station_said_nothing_stays(server: Sshd, tmp_path: Path) -> None:
    line = line_to(server, tmp_path, [{"o-1": facts()}], [{"o-2": facts()}])
    assert set(await line.look(3, "x")) == {"o-1"}
    (await line.station()).hang_up()

    async with asyncio.timeout(10):
        assert set(await line.look(3, "x")) == {"o-2"}

    await line.aclose()


async def test_a_run_that_makes_no_sense_hides_no_other(server: Sshd, tmp_path: Path) -> None:
    line = line_to(server, tmp_path, [{"o-1": {"claim": 1}, "o-2": facts()}])

    assert set(await line.look(3, "x")) == {"o-2"}

    await line.aclose()


async def test_runs_that_are_none_are_no_answer(server: Sshd, tmp_path: Path) -> None:
    line = line_to(server, tmp_path, [[1]])

    with pytest.raises(Silent, match="what it says makes no sense"):
        await line.look(3, "x")

    await line.aclose()
