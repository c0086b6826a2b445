"""The accounts are asked once for all, until they know, and what they say is said once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tradewind.model.instance import InstanceStatus, Marks, ObservedInstance, Role
from tradewind.model.money import Price
from tradewind.providers.batch import ledger as ledgers
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.ledger import Ledger
from tradewind.providers.batch.runner import PATIENCE_S, Said
from tradewind.providers.batch.sight import from_data, handle_of, to_data
from tradewind.providers.slurm.queue import SlurmQueue

BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
PRICE = Price(per_hour=Decimal("1.25"), currency="SU")


@dataclass
class Accounts:
    """What answers in the place of ``sacct``."""

    lines: list[str] = field(default_factory=list)
    opens: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: they answer."""
    asked: list[Sequence[str]] = field(default_factory=list)

    def tell(
        self,
        job: str,
        index: int,
        *,
        state: str = "COMPLETED",
        lasted_s: int = 600,
        billing: int = 1,
        suspended_s: int = 0,
    ) -> None:
        began = int(BEGAN.timestamp())
        tres = f"billing={billing},cpu=1,mem=1G,node=1"
        self.lines.append(
            f"{job}_{index}|{state}|0:0|{began}|{began + lasted_s}|{lasted_s - suspended_s}|{tres}|05:00|"
        )

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        self.asked.append(command)
        await self.opens.wait()
        return Said(code=0, out="\n".join(self.lines), error="")


class Desk:
    """A ledger with its books, and submissions that are over."""

    def __init__(self, root: Path) -> None:
        self.books = Books(root)
        self.books.open()
        self.accounts = Accounts()
        self.accounts.opens.set()
        self.ends: dict[str, tuple[ObservedInstance, ...]] = {}
        self.ledger = self.anew()

    def anew(self) -> Ledger:
        return Ledger(SlurmQueue(), self.accounts, self.books, lambda units: Price(per_hour=units, currency="SU"))

    def over(self, job: str, count: int, *, ran: bool = True) -> str:
        marks = [
            Marks(
                installation="i",
                workspace="w",
                cluster="c",
                instance=f"w-{job}-{n}",
                order=f"o-{job}-{n}",
                role=Role.WORKER,
            )
            for n in range(count)
        ]
        batch = Batch(id=f"batch-{job}", marks=marks, submitted_at=BEGAN, job=job)
        self.books.write(batch)
        self.ends[batch.id] = tuple(
            ObservedInstance(
                marks=one,
                handle=handle_of(job, n, one.order),
                status=InstanceStatus.STOPPED,
                started_at=BEGAN if ran else None,
                stopped_at=BEGAN + timedelta(seconds=601),
                detail="ended",
            )
            for n, one in enumerate(marks)
        )
        self.books.close(batch.id, [to_data(one) for one in self.ends[batch.id]])
        self.ledger.expect(batch.id, self.ends[batch.id])
        return batch.id

    async def correct(self) -> None:
        await self.ledger.correct(self.ends, within_s=5)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_all_that_is_over_is_asked_about_in_one_call(desk: Desk) -> None:
    desk.over("7", 3)
    desk.over("8", 2)

    await desk.correct()

    assert len(desk.accounts.asked) == 1
    assert "--jobs=7,8" in desk.accounts.asked[0]


async def test_what_the_accounts_say_goes_before_what_was_seen(desk: Desk) -> None:
    batch = desk.over("7", 1)
    desk.accounts.tell("7", 0, state="OUT_OF_MEMORY", lasted_s=540, billing=3)

    await desk.correct()

    (one,) = desk.ends[batch]
    assert one.stopped_at == BEGAN + timedelta(seconds=540)
    assert one.charged == Price(per_hour=Decimal(3), currency="SU")
    assert "used more memory than it had asked for" in one.detail
    assert "56% of its core" in one.detail


async def test_who_was_told_all_isn_t_asked_again_nor_by_the_next_process(desk: Desk) -> None:
    batch = desk.over("7", 2)
    desk.accounts.tell("7", 0)
    desk.accounts.tell("7", 1)
    await desk.correct()
    told = desk.ends[batch]

    await desk.correct()

    assert len(desk.accounts.asked) == 1
    assert desk.books.is_told(batch)
    assert tuple(map(from_data, desk.books.closed(batch) or ())) == told


async def test_who_isn_t_in_the_accounts_yet_is_asked_about_again_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "PAUSES_S", (0.0, 0.0, 3600.0))
    batch = desk.over("7", 2)
    desk.accounts.tell("7", 0)
    await desk.correct()
    assert [one.charged is not None for one in desk.ends[batch]] == [True, False]
    assert not desk.books.is_told(batch)

    desk.accounts.tell("7", 1)
    await desk.correct()

    assert all(one.charged is not None for one in desk.ends[batch])
    assert desk.books.is_told(batch)


async def test_what_never_ran_took_nothing_and_nobody_is_asked(desk: Desk) -> None:
    desk.over("7", 2, ran=False)

    await desk.correct()

    assert not desk.accounts.asked


async def test_the_same_answer_twice_changes_nothing(desk: Desk) -> None:
    batch = desk.over("7", 1)
    desk.accounts.tell("7", 0)
    await desk.correct()
    first = desk.ends[batch]

    desk.ledger = desk.anew()
    desk.ledger.expect(batch, first)
    await desk.correct()

    assert desk.ends[batch] is first


async def test_what_a_job_was_suspended_for_is_not_charged(desk: Desk) -> None:
    batch = desk.over("12", 1)
    desk.accounts.tell("12", 0, lasted_s=600, suspended_s=150, billing=4)

    await desk.correct()

    (one,) = desk.ends[batch]
    assert one.charged == Price(per_hour=Decimal(3), currency="SU")
    assert "67% of its core" in one.detail, "of the time that it ran: 5 of 7.5 minutes"


@pytest.mark.parametrize("just_ended", [True, False])
async def test_accounts_that_take_their_time_keep_only_those_waiting_who_may_look_at_a_bill(
    desk: Desk, just_ended: bool
) -> None:
    batch = desk.over("7", 1)
    desk.ledger = desk.anew()
    desk.accounts.opens.clear()
    desk.ledger.expect(batch, desk.ends[batch], just_ended=just_ended)

    looking = asyncio.create_task(desk.ledger.correct(desk.ends, within_s=60))
    await asyncio.wait([looking], timeout=0.1)

    assert looking.done() is not just_ended
    assert len(desk.accounts.asked) == 1
    desk.accounts.opens.set()
    await looking
    await desk.ledger.aclose()
