"""Time that a test moves wakes its sleepers in order, each at its own time."""

import asyncio
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from tradewind.testing import FakeClock
from tradewind.testing.clock import START


def test_it_stands_still_until_it_is_moved():
    clock = FakeClock()
    assert clock.now() == clock.now() == START
    assert clock.advance(1.5) == START + timedelta(seconds=1.5) == clock.now()


def test_it_does_not_go_back():
    with pytest.raises(ValueError, match="doesn't go back"):
        FakeClock().advance(-1)


@pytest.mark.parametrize(
    "start", [START.replace(tzinfo=None), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))]
)
def test_it_starts_at_an_aware_utc_time_only(start):
    with pytest.raises(ValueError, match="aware UTC"):
        FakeClock(start)


async def test_sleepers_wake_in_order_each_at_its_own_time():
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, (clock.now() - START).total_seconds()))

    tasks = [asyncio.create_task(sleeper("a", 3, 3)), asyncio.create_task(sleeper("b", 1, 4))]
    await clock.pass_time(10)
    assert woken == [("b", 1), ("a", 3), ("b", 5), ("a", 6)]
    assert clock.now() == START + timedelta(seconds=10)
    await asyncio.gather(*tasks)


async def test_nobody_wakes_before_the_time():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep_until(START + timedelta(seconds=5)))
    await clock.pass_time(timedelta(seconds=5) - timedelta(microseconds=1))
    assert not task.done()
    await clock.pass_time(timedelta(microseconds=1))
    await asyncio.sleep(0)
    await asyncio.wait_for(task, 1)


async def test_a_time_gone_by_is_not_waited_for():
    await asyncio.wait_for(FakeClock().sleep_until(START - timedelta(days=1)), 1)


async def test_a_cancelled_sleeper_does_not_hold_up_time():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await clock.pass_time(2)
    assert clock.now() == START + timedelta(seconds=2)
    assert task.cancelled()


def test_the_clock_alone_imports_no_library_for_tests():
    code = "import sys; from tradewind.testing import FakeClock; print({'pytest', 'hypothesis'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
