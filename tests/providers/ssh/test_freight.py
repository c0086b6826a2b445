"""A launch whose files are on their way, or can't be brought."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from tests.line.cable import Cable
from tradewind.errors import NoCapacity, StillPreparing
from tradewind.providers.ssh.known import Memory

from .conftest import Lab, launch
from .test_faults import needing, ordered

MIB = 1024**2


def wheel(lab: Lab, mib: float, name: str = "mine-1.0-py3-none-any.whl") -> dict[str, Path]:
    path = lab.directory / name
    path.write_bytes(os.urandom(int(mib * MIB)))
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path}


def there(lab: Lab, host: str = "ws1") -> list[str]:
    return sorted(path.name for path in (lab.directory / host / "artifacts").glob("*/*"))


async def test_while_a_file_travels_it_is_said_how_far_it_is(
    lab: Lab, cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradewind.line.freight.WAITED_FOR_S", 2.0)
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

    await launch(provider, ordered(software=needing(files)))

    assert there(lab) == ["mine-1.0-py3-none-any.whl"]
