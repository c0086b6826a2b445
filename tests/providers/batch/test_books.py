"""What stands on the shared disk of submissions, and what doesn't stay there."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.model.instance import Marks, Role
from tradewind.providers.batch.books import KEPT_FOR, Batch, Books

NOW = datetime.now(UTC)
MARKS = Marks(installation="desk", workspace="lab", cluster="tide", instance="w", order="order-1", role=Role.WORKER)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    made = Books(tmp_path)
    made.open()
    return made


def written(books: Books, job: str | None, *, is_over: bool = False, is_whole: bool = True) -> Path:
    """Return the directory of a submission that was made, or not, a month ago."""
    books.deliver("0a1b", [{"keys": "kept"}])
    if is_whole:
        books.write(Batch(id="0a1b", marks=(MARKS,), submitted_at=NOW, job=job))
    if is_over:
        books.close("0a1b", [])
    directory = books.batches / "0a1b"
    for path in (*directory.iterdir(), directory):
        os.utime(path, ((NOW - timedelta(days=30)).timestamp(),) * 2)
    return directory


def test_what_may_still_wait_is_kept_however_old(books: Books) -> None:
    directory = written(books, "12")

    books.prune(NOW)

    assert (directory / "order-0.json").exists()


@pytest.mark.parametrize(
    ("job", "is_over", "is_whole"), [("12", True, True), (None, False, True), (None, False, False)]
)
def test_what_ended_or_was_never_submitted_goes_with_its_keys(
    books: Books, job: str | None, is_over: bool, is_whole: bool
) -> None:
    directory = written(books, job, is_over=is_over, is_whole=is_whole)

    books.prune(NOW - timedelta(days=30) + KEPT_FOR - timedelta(minutes=1))
    assert directory.exists(), "not before its time"
    books.prune(NOW)

    assert not directory.exists()
    assert books.find("order-1") is None
