"""What waits is held before its last moment, whoever submitted it and however long nobody looked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tradewind.model.instance import Marks, Role
from tradewind.providers.batch.books import Batch
from tradewind.providers.batch.holding import Holding
from tradewind.providers.batch.queue import Entry, Stage
from tradewind.providers.batch.runner import PATIENCE_S, Said
from tradewind.providers.slurm.queue import SlurmQueue

SUBMITTED = datetime(2026, 11, 24, 12, tzinfo=UTC)
MARKS = Marks(installation="desk", workspace="lab", cluster="tide", instance="w", order="order-1", role=Role.WORKER)
BATCH = Batch(id="0a1b", marks=(MARKS,), submitted_at=SUBMITTED, job="12", alone_s=600.0, holds_s=4200.0)
WAITS = Entry(job="12", index=0, mark="tradewind:desk:0a1b:tide", stage=Stage.WAITING)


@dataclass
class Slurm:
    """What answers in the place of ``scontrol``."""

    asked: list[Sequence[str]] = field(default_factory=list)

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        self.asked.append(command)
        return Said(code=0, out="", error="")


class Desk:
    """A process that looks after what waits, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.after_s = 0.0
        self.slurm = Slurm()
        self.holding = Holding(SlurmQueue(), self.slurm, now=lambda: SUBMITTED + timedelta(seconds=self.after_s))

    async def holds(self, after_s: float, batch: Batch = BATCH) -> bool:
        """Return whether a look so long after the submission moved its last moment on."""
        self.after_s = after_s
        before = len(self.slurm.asked)
        await self.holding.hold([WAITS], {batch.id: batch})
        return len(self.slurm.asked) > before


async def test_what_waits_is_held_in_each_quarter_of_its_orphan_timeout() -> None:
    desk = Desk()

    held = [after_s for after_s in range(0, 600, 10) if await desk.holds(after_s)]

    assert held == [150, 300, 450]
    assert desk.slurm.asked[0][-1] == "Deadline=now+4200seconds"


async def test_a_process_that_finds_what_an_earlier_one_submitted_holds_it_at_once() -> None:
    assert await Desk().holds(500)


@pytest.mark.parametrize("after_s", [-3600, 3600])
async def test_a_clock_that_was_set_costs_no_place_in_the_queue(after_s: float) -> None:
    desk = Desk()
    await desk.holds(160)

    assert await desk.holds(after_s)


async def test_a_submission_of_which_nobody_was_told_the_id_is_held_by_that_of_the_list() -> None:
    unknown = Batch(id="0a1b", marks=(MARKS,), submitted_at=SUBMITTED, job=None, alone_s=600.0, holds_s=4200.0)
    desk = Desk()

    assert await desk.holds(200, unknown)
    assert "JobId=12" in desk.slurm.asked[0]
