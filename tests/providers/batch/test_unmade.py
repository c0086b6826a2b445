"""What was to be submitted, of which nobody was told whether it was: it is cleared away once that is sure."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tradewind.model.instance import Marks, Role
from tradewind.model.money import Price
from tradewind.providers.batch.books import Batch, Books
from tradewind.providers.batch.ledger import Ledger
from tradewind.providers.batch.place import Here
from tradewind.providers.batch.rest import Rest
from tradewind.providers.batch.roll import Roll
from tradewind.providers.batch.runner import PATIENCE_S, Said
from tradewind.providers.slurm.queue import SlurmQueue

MARKS = Marks(installation="desk", workspace="lab", cluster="tide", instance="w", order="order-1", role=Role.WORKER)
Look = Callable[..., Awaitable[bool]]
LISTED = "12_0|PENDING|N/A|N/A|Priority|tradewind:desk:0a1b:tide\n"


class Slurm:
    """What answers in the place of ``squeue``."""

    def __init__(self) -> None:
        self.said = ""

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        return Said(code=0, out=self.said if command[0] == "squeue" else "", error="")


async def nothing(handles: Sequence[str]) -> None:
    assert not handles


@pytest.fixture
def letter_after(tmp_path: Path) -> Look:
    async def look(minutes: float, *, listed: str = "", began: bool = False) -> bool:
        """Return whether the letter of a submission without an answer is there after a look, so long afterwards."""
        books, slurm = Books(tmp_path), Slurm()
        books.open()
        books.deliver("0a1b", [{"keys": "kept"}])
        submitted_at = datetime.now(UTC) - timedelta(minutes=minutes)
        books.write(Batch(id="0a1b", marks=(MARKS,), submitted_at=submitted_at, job=None))
        if began:
            books.records.run("order-1").directory.mkdir()
            books.records.run("order-1").note("instance.json", "{}")
        slurm.said = listed
        queue, place = SlurmQueue(), Here(books, slurm)
        ledger = Ledger(queue, slurm, books, lambda units: Price(per_hour=Decimal(units), currency="SU"))
        roll = Roll(queue, place, installation="desk", ledger=ledger, rest=Rest(), poke=lambda: None, end=nothing)
        await roll.call()
        return books.letter("0a1b", 0).exists()

    return look


async def test_what_the_queue_never_had_leaves_no_keys_behind(letter_after: Look) -> None:
    assert not await letter_after(11)


@pytest.mark.parametrize(("minutes", "listed", "began"), [(9, "", False), (11, LISTED, False), (11, "", True)])
async def test_what_it_may_have_keeps_what_it_is_to_be_told(
    letter_after: Look, minutes: float, listed: str, began: bool
) -> None:
    assert await letter_after(minutes, listed=listed, began=began)
