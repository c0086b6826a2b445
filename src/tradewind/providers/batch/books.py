"""What stands on the shared disk about submissions, so that a crash anywhere loses none.

::

    <root>/
    ├── lock                     held while something is submitted, by the submitting command too
    ├── heard                    touched while somebody looks after what runs here
    ├── orders/<order>           which submission an order is in, and its index there
    ├── batches/<batch>/
    │   ├── batch.json           the marks of its orders, by index; its queue id once it has one
    │   ├── order-<index>.json   0600: what the job is told, keys included; taken away by the job, or when it's given up
    │   └── out-<index>          what the queue or the shell wrote before the instance had its log
    └── runs/<order>/            as of all instances

Written before the queue is asked, so that whoever gives the same order again finds what was asked.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tradewind.host.bare.queued import HEARD
from tradewind.host.records import Records, read_json, write_json
from tradewind.model.instance import Marks, Role

KEPT_FOR = timedelta(days=7)
OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One submission."""

    id: str
    marks: Sequence[Marks]
    """By index."""
    submitted_at: datetime
    job: str | None
    """The queue's id; None: it isn't known whether the queue has it."""
    alone_s: float = 600.0
    """How long it lives when nobody looks after it."""
    holds_s: float | None = None
    """How far off its last moment in the queue is set, each time that somebody looks after it; None: it has none."""

    @property
    def cluster(self) -> str:
        """Id of the cluster that it belongs to."""
        return self.marks[0].cluster


class Books:
    """The directory of one queue's submissions.

    Parameters
    ----------
    root : Path
        On a file system that all nodes see.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.records = Records(root)
        self.batches = root / "batches"
        self.orders = root / "orders"

    def open(self) -> None:
        """Make what must be there."""
        for directory in (self.batches, self.orders, self.records.runs):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def hear(self) -> None:
        """Write down that somebody looks after what runs here."""
        if self.root.is_dir():
            (self.root / HEARD).touch()

    def find(self, order: str) -> tuple[str, int] | None:
        """Return the submission that an order is in, and its index there."""
        found = read_json(self.orders / order)
        return None if found is None else (str(found["batch"]), int(found["index"]))

    def batch(self, batch: str) -> Batch | None:
        """Return a submission."""
        data = read_json(self.batches / batch / "batch.json")
        if data is None:
            return None
        marks = tuple(Marks(**{**one, "role": Role(one["role"])}) for one in data["marks"])
        return Batch(
            id=batch,
            marks=marks,
            submitted_at=datetime.fromisoformat(data["submitted_at"]),
            job=data["job"],
            alone_s=float(data["alone_s"]),
            holds_s=data["holds_s"],
        )

    def all(self) -> Iterator[str]:
        """Return the id of each submission, in no order."""
        try:
            with os.scandir(self.batches) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            return
        yield from names

    def deliver(self, batch: str, letters: Sequence[Mapping[str, Any]]) -> None:
        """Put letters where the jobs of a submission find them."""
        (self.batches / batch).mkdir(mode=0o700, parents=True, exist_ok=True)
        for index, letter in enumerate(letters):
            descriptor = os.open(self.letter(batch, index), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(letter, file)

    def write(self, batch: Batch) -> None:
        """Write a submission down, before it is made."""
        (self.batches / batch.id).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._save(batch)
        for index, marks in enumerate(batch.marks):
            write_json(self.orders / marks.order, {"batch": batch.id, "index": index})

    def submitted(self, batch: Batch) -> None:
        """Write down the queue's id of a submission."""
        self._save(batch)

    def withdraw(self, batch: Batch) -> None:
        """Forget a submission that certainly wasn't made."""
        for marks in batch.marks:
            (self.orders / marks.order).unlink(missing_ok=True)
        shutil.rmtree(self.batches / batch.id, ignore_errors=True)

    def letter(self, batch: str, index: int) -> Path:
        """Return where a job finds what it is told."""
        return self.batches / batch / f"order-{index}.json"

    def log(self, batch: str) -> Path:
        """Return where the queue writes what a job says first, without its index."""
        return self.batches / batch / OUT

    def give_up(self, orders: Iterable[str]) -> None:
        """Take away what jobs would be told, so that they start nothing, and no keys lie about."""
        for order in orders:
            found = self.find(order)
            if found is not None:
                self.letter(*found).unlink(missing_ok=True)

    def close(self, batch: str, ends: Sequence[Mapping[str, Any]], *, is_told: bool = False) -> None:
        """Write down how all of a submission ended; nobody need ask the queue again, nor, once told, its accounts."""
        write_json(self.batches / batch / "ended.json", {"ends": list(ends), "is_told": is_told})
        for path in (self.batches / batch).glob("order-*.json"):
            path.unlink(missing_ok=True)

    def closed(self, batch: str) -> list[dict[str, Any]] | None:
        """Return how all of a submission ended, once that was written down."""
        data = read_json(self.batches / batch / "ended.json")
        return None if data is None else data["ends"]

    def is_told(self, batch: str) -> bool:
        """Whether the accounts have said what all of a submission took."""
        data = read_json(self.batches / batch / "ended.json")
        return data is not None and bool(data.get("is_told", True))

    def prune(self, now: datetime) -> None:
        """Remove what ended long ago, and what was never finished: written down in part, or never submitted."""
        oldest = (now - KEPT_FOR).timestamp()
        for name in list(self.all()):
            batch, done = self.batch(name), self.batches / name / "ended.json"
            last = done if done.exists() else self.batches / name
            is_open = batch is not None and batch.job is not None and last is not done
            if is_open or last.stat().st_mtime > oldest:
                continue
            for marks in batch.marks if batch is not None else ():
                (self.orders / marks.order).unlink(missing_ok=True)
                shutil.rmtree(self.records.runs / marks.order, ignore_errors=True)
            shutil.rmtree(self.batches / name, ignore_errors=True)

    def _save(self, batch: Batch) -> None:
        data = {
            "marks": [asdict(marks) for marks in batch.marks],
            "submitted_at": batch.submitted_at.isoformat(),
            "job": batch.job,
            "alone_s": batch.alone_s,
            "holds_s": batch.holds_s,
        }
        write_json(self.batches / batch.id / "batch.json", data)
