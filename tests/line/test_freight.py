"""Files that take longer than anybody waits: they arrive all the same, each once, and leave no halves."""

import asyncio
import contextlib
import hashlib
import os
import time

import pytest

from tradewind.errors import StillPreparing
from tradewind.line import Line, Silent
from tradewind.line.freight import Pace

from .cable import Cable
from .conftest import Desk

MIB = 1024**2
WHEEL = "mine-1.0-py3-none-any.whl"


def wheel(desk: Desk, mib: float) -> dict[str, str]:
    path = desk.directory / WHEEL
    path.write_bytes(os.urandom(int(mib * MIB)))
    return {hashlib.sha256(path.read_bytes()).hexdigest(): str(path)}


def there(desk: Desk) -> list[str]:
    return sorted(path.name for path in (desk.there / "artifacts").glob("*/*"))


async def tries(line: Line, files: dict[str, str], try_s: float, within_s: float = 30) -> int:
    """Bring files as rounds of an engine do, none of which waits for long; return how many it took."""
    number, until_s = 0, time.monotonic() + within_s
    while time.monotonic() < until_s:
        number += 1
        try:
            async with asyncio.timeout(try_s):
                await line.bring(files)
        except (TimeoutError, StillPreparing, Silent):
            await asyncio.sleep(0.2)
        else:
            return number
    raise AssertionError(number)


async def test_a_file_that_takes_longer_than_a_round_arrives_once_and_whole(desk: Desk, cable: Cable) -> None:
    line, files = desk.line(port=cable.port), wheel(desk, 4)
    await line.station()
    cable.speed = 2 * MIB

    assert await tries(line, files, 0.5) >= 2

    (place,) = (await line.bring(files)).values()
    assert there(desk) == [WHEEL]
    with open(place, "rb") as file:  # noqa: ASYNC230 - a local file
        assert [hashlib.file_digest(file, "sha256").hexdigest()] == list(files)


async def test_a_host_answers_in_time_while_a_file_fills_its_line(desk: Desk, cable: Cable) -> None:
    line, files = desk.line(port=cable.port), wheel(desk, 8)
    await line.station()
    cable.speed = MIB // 4
    going = asyncio.create_task(tries(line, files, 5, within_s=8))

    answers = []
    for _ in range(4):
        await asyncio.sleep(1)
        began = time.monotonic()
        await line.ask("have", files={}, shared={})
        answers.append(time.monotonic() - began)

    assert max(answers) < 2.5
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)


async def test_what_is_left_of_a_file_when_its_line_broke_gives_way_to_the_next_try(desk: Desk, cable: Cable) -> None:
    line, files = desk.line(port=cable.port), wheel(desk, 2)
    await line.station()
    for _ in range(2):
        cable.up = 700_000
        with pytest.raises((Silent, StillPreparing)):
            await line.bring(files)
        cable.mend()
        assert len(there(desk)) == 1
        assert there(desk) != [WHEEL]
        await asyncio.sleep(1.2)  # as long as a line that broke is left alone

    await tries(line, files, 10)

    assert there(desk) == [WHEEL]


async def test_who_leaves_takes_the_halves_along(desk: Desk, cable: Cable) -> None:
    line, files = desk.line(port=cable.port), wheel(desk, 4)
    await line.station()
    cable.speed = MIB
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await line.bring(files)
    assert len(there(desk)) == 1

    await line.aclose()

    assert there(desk) == []


async def test_a_station_removes_halves_that_nobody_writes_to_any_more(desk: Desk) -> None:
    home = desk.there / "artifacts" / "ab"
    home.mkdir(parents=True)
    for name, age_s in (("a.whl", 9000), ("a.whl.0123abcd", 9000), ("b.whl.0123abcd", 60)):
        (home / name).write_text("x")
        os.utime(home / name, (time.time() - age_s,) * 2)

    await desk.line().ask("list", heard=None, installation="x")

    assert there(desk) == ["a.whl", "b.whl.0123abcd"]


async def test_a_file_that_is_not_here_is_told_by_its_path(desk: Desk) -> None:
    with pytest.raises(OSError, match="gone.whl"):
        await desk.line().bring({"0" * 64: str(desk.directory / "gone.whl")})


async def test_the_pace_follows_the_line() -> None:
    pace = Pace()
    for _ in range(500):
        await pace.take()
        pace.give(0.01)
    assert pace.limit == 128
    for _ in range(500):
        await pace.take()
        pace.give(1.0)
    assert (pace.limit, pace.out) == (1, 0)
    await pace.take()
    waiting = asyncio.create_task(pace.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    pace.give(None)
    await waiting


async def test_a_host_without_sftp_says_so_at_once_and_for_good(desk: Desk) -> None:
    config = desk.server.directory / "sshd_config"
    whole = config.read_text()
    config.write_text(whole.replace("Subsystem sftp internal-sftp\n", ""))
    desk.server.stop()
    desk.server.start()
    try:
        with pytest.raises(Silent, match="ws1 offers no SFTP.*`Subsystem sftp` in its sshd_config") as refused:
            await desk.line().bring(wheel(desk, 0.1))
        assert refused.value.is_lasting
    finally:
        config.write_text(whole)
        desk.server.stop()
        desk.server.start()
