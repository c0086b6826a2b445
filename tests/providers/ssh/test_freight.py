"""Files that take longer than a launch may: they arrive all the same, each once, and leave no halves."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tradewind.errors import NoCapacity, StillPreparing, Unavailable
from tradewind.providers.ssh.freight import Pace
from tradewind.providers.ssh.known import Memory
from tradewind.providers.ssh.provider import SshProvider

from .cable import Cable
from .conftest import Lab, launch
from .test_faults import needing, ordered

MIB = 1024**2


@pytest.fixture
async def cable(lab: Lab) -> AsyncIterator[Cable]:
    made = Cable(lab.server.port)
    await made.open()
    known = lab.server.known_hosts
    before = known.read_text()
    known.write_text(before + before.replace(f":{lab.server.port} ", f":{made.port} "))
    yield made
    made.close()
    known.write_text(before)


def wheel(lab: Lab, mib: float, name: str = "mine-1.0-py3-none-any.whl") -> dict[str, Path]:
    path = lab.directory / name
    path.write_bytes(os.urandom(int(mib * MIB)))
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path}


def there(lab: Lab, host: str = "ws1") -> list[str]:
    return sorted(path.name for path in (lab.directory / host / "artifacts").glob("*/*"))


async def rounds(provider: SshProvider, files: dict[str, Path], round_s: float, within_s: float = 30) -> list[str]:
    """Launch as an engine does, whose rounds last for so long; return what was said until it was launched."""
    one, said = ordered(software=needing(files)), []
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        try:
            async with asyncio.timeout(round_s):
                await launch(provider, one)
        except TimeoutError:
            said.append("")
        except Unavailable as error:
            said.append(str(error))
            await asyncio.sleep(0.2)
        else:
            return said
    raise AssertionError(said)


async def test_a_file_that_takes_longer_than_a_round_arrives_once_and_whole(lab: Lab, cable: Cable) -> None:
    provider = lab.provider(lab.host(port=cable.port, environment=None))
    await provider.observe()
    cable.speed = 2 * MIB

    said = await rounds(provider, wheel(lab, 4), round_s=0.5)

    assert len(said) >= 2
    assert there(lab) == ["mine-1.0-py3-none-any.whl"]


async def test_while_a_file_travels_it_is_said_how_far_it_is(
    lab: Lab, cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradewind.providers.ssh.freight.WAITED_FOR_S", 2.0)
    provider = lab.provider(lab.host(port=cable.port, environment=None))
    await provider.observe()
    cable.speed = 2 * MIB
    one = ordered(software=needing(wheel(lab, 12)))

    with pytest.raises(
        StillPreparing, match=r"^mine-1\.0-py3-none-any\.whl: on the way to ws1, [0-9] of 12 MiB$"
    ) as told:
        await launch(provider, one)

    assert told.value.retry_after.total_seconds() == 2
    assert Memory(lab.directory / "state" / "ssh").place_of(one.marks.order) == "", "no host has it yet"
    again = time.monotonic()
    with pytest.raises(StillPreparing):
        await launch(provider, one)
    assert time.monotonic() - again < 1.8, "it isn't waited for twice"


async def test_a_host_answers_in_time_while_a_file_fills_its_line(lab: Lab, cable: Cable) -> None:
    provider = lab.provider(lab.host(port=cable.port, environment=None))
    await provider.observe()
    cable.speed = MIB // 4
    going = asyncio.create_task(rounds(provider, wheel(lab, 8), round_s=5, within_s=8))

    answers = []
    for _ in range(4):
        await asyncio.sleep(1)
        began = time.monotonic()
        await provider.observe()
        answers.append(time.monotonic() - began)

    assert max(answers) < 2.5
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)


async def test_what_is_left_of_a_file_when_its_line_broke_gives_way_to_the_next_try(lab: Lab, cable: Cable) -> None:
    provider = lab.provider(lab.host(port=cable.port, environment=None))
    files = wheel(lab, 2)
    await provider.observe()
    for _ in range(2):
        cable.up = 700_000
        with contextlib.suppress(Unavailable):
            await launch(provider, ordered(software=needing(files)))
        cable.mend()
        assert len(there(lab)) == 1
        assert not there(lab)[0].endswith(".whl")

    await rounds(provider, files, round_s=10)

    assert there(lab) == ["mine-1.0-py3-none-any.whl"]


async def test_who_leaves_takes_the_halves_along(lab: Lab, cable: Cable) -> None:
    provider = lab.provider(lab.host(port=cable.port, environment=None))
    await provider.observe()
    cable.speed = MIB
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await launch(provider, ordered(software=needing(wheel(lab, 4))))
    assert len(there(lab)) == 1

    await provider.aclose()

    assert there(lab) == []


async def test_a_station_removes_halves_that_nobody_writes_to_any_more(lab: Lab) -> None:
    home = lab.directory / "ws1" / "artifacts" / "ab"
    home.mkdir(parents=True)
    for name, age_s in (("a.whl", 9000), ("a.whl.0123abcd", 9000), ("b.whl.0123abcd", 60)):
        (home / name).write_text("x")
        os.utime(home / name, (time.time() - age_s,) * 2)

    await lab.provider().observe()

    assert there(lab) == ["a.whl", "b.whl.0123abcd"]


async def test_a_file_that_can_not_be_written_there_is_said_once_and_tried_again(lab: Lab) -> None:
    provider = lab.provider(lab.host(environment=None))
    files = wheel(lab, 0.1)
    (sha256,) = files
    blocked = lab.directory / "ws1" / "artifacts"
    blocked.mkdir(parents=True)
    (blocked / sha256).write_text("in the way")
    with pytest.raises(NoCapacity, match="ws1: files can't be kept on ws1"):
        await launch(provider, ordered(software=needing(files)))
    (blocked / sha256).unlink()

    await rounds(provider, files, round_s=10)

    assert there(lab) == ["mine-1.0-py3-none-any.whl"]


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
