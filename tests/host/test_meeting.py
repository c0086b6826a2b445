"""A scheduler writes down when it met its workers, for as long as somebody may ask."""

import json
from pathlib import Path

import pytest
from distributed import Scheduler

from tradewind.host import meeting
from tradewind.host.meeting import ENDED_S, EVERY_S, Crew

ALONE_S = 600.0


class Clock:
    """Stands where the module's clock does."""

    def __init__(self) -> None:
        self.now = 1e9

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


async def test_workers_that_must_have_ended_are_forgotten_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(meeting, "time", clock)
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address=":0", dashboard=False) as scheduler:
        crew = Crew(scheduler, tmp_path, "10.0.0.1", ALONE_S)
        await crew.meet("old", "10.0.0.2")
        clock.now += EVERY_S
        await crew.meet("young", "10.0.0.2")
        await crew.meet("beside", "10.0.0.1")
        clock.now += ALONE_S + ENDED_S - EVERY_S
        await crew.meet("new", "10.0.0.3")
    written = json.loads((tmp_path / "crew.json").read_text())
    assert written == {"young": 1e9 + EVERY_S, "new": clock.now}
