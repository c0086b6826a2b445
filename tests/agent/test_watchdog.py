"""A scheduler that hangs and that nobody looks after ends all the same."""

from __future__ import annotations

import subprocess
import sys
import time

from tradewind.agent.watchdog import EXIT_CODE, Watchdog

HANGS = """
import asyncio, time
from tradewind.agent.watchdog import Watchdog

async def main():
    dog = Watchdog(time.monotonic() + 60, still_s=0.2, check_s=0.05)
    dog.start()
    dog.turned(time.monotonic() + 0.1)
    time.sleep(20)

asyncio.run(main())
"""


def test_a_process_whose_loop_stands_still_is_ended_once_nobody_looks_after_it() -> None:
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == EXIT_CODE
    assert time.monotonic() - start < 15
    assert "hasn't turned" in done.stderr


def test_a_loop_that_turns_is_left_to_close_the_scheduler_itself() -> None:
    ended: list[int] = []
    dog = Watchdog(0.0, still_s=0.1, check_s=0.01, end=ended.append)
    dog.start()
    for _ in range(20):
        dog.turned(closes_at=0.0)
        time.sleep(0.02)
    dog.stop()
    assert ended == []


def test_a_loop_that_stands_still_is_left_alone_while_somebody_may_still_ask() -> None:
    ended: list[int] = []
    dog = Watchdog(0.0, still_s=0.05, check_s=0.01, end=ended.append)
    dog.turned(time.monotonic() + 60)
    dog.start()
    time.sleep(0.3)
    dog.stop()
    assert ended == []


async def test_an_agent_that_closes_leaves_no_watchdog(rig) -> None:
    async with rig(workers=0, ends_process=True) as running:
        dog = running.agent._watchdog
        assert dog._thread.is_alive()
        await running.agent.aclose()
        dog._thread.join(timeout=10)
        assert not dog._thread.is_alive()
