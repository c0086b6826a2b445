"""What stands on disk about instances: one directory each, written by whoever looks after it, read by all.

::

    <state>/local/
    ├── runs/<order>/          0700; the order's id is also the handle
    │   ├── instance.json      the claim: made once, whole, before anything else exists
    │   ├── log                what the Dask process wrote; stays
    │   ├── scratch/           what it spills; goes with it
    │   ├── contact.json       where a scheduler listens
    │   ├── ready              the worker is connected
    │   ├── met                when a worker on another host was with its scheduler, as the file's time
    │   ├── crew.json          when a scheduler met workers of other hosts
    │   ├── stopping           it was told to end
    │   ├── room               room on the disk for how it ended; goes when that is written
    │   ├── fault              one sentence from a Dask process that couldn't go on
    │   └── exit.json          how it ended
    └── clusters/<cluster>.json    where its scheduler listens; goes with the scheduler

No secret is ever written here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tradewind.boot.birth import birth_of, is_alive, machine_boot
from tradewind.host.bare.ground import ROOM, keep_room
from tradewind.model.instance import Contact, InstanceStatus, Marks, ObservedInstance, Role

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
KEPT_DEAD = 200
KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who looks after an order: the content of ``instance.json``."""

    marks: Marks
    pid: int
    """Of the keeper."""
    birth: str
    host: str
    boot: str
    """The run of the machine; a keeper of another run is dead."""
    started_at: datetime

    @property
    def is_alive(self) -> bool:
        """Whether the keeper is."""
        return self.boot == machine_boot() and is_alive(self.pid, self.birth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How an instance ended: the content of ``exit.json``."""

    stopped_at: datetime
    exit_code: int | None
    detail: str


class Records:
    """The directory of one user's local instances.

    Parameters
    ----------
    root : Path
        ``<state>/local``; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs"
        self.clusters = root / "clusters"

    def run(self, handle: str) -> Run:
        """Return the run directory of a handle; it need not exist. Raises ValueError for what can't be a handle."""
        if not SAFE.fullmatch(handle):
            raise ValueError(f"{handle!r} can't be the handle of a local instance: it is no plain file name")
        return Run(self.runs / handle)

    def all_runs(self) -> Iterator[Run]:
        """Return every run directory that is there now."""
        try:
            with os.scandir(self.runs) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            return
        for name in names:
            yield Run(self.runs / name)

    def contact_of(self, cluster_id: str) -> Contact | None:
        """Return where the cluster's scheduler listens; None as long as it doesn't."""
        data = read_json(self.clusters / f"{cluster_id}.json")
        return None if data is None else Contact(**{key: data[key] for key in ("scheduler", "agent", "dashboard")})

    def announce(self, marks: Marks, contact: Contact) -> None:
        """Write down where the cluster's scheduler listens, for its workers and for observers."""
        data = asdict(contact)
        write_json(self.run(marks.order).directory / "contact.json", data)
        self.clusters.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(self.clusters / f"{marks.cluster}.json", data | {"order": marks.order})

    def withdraw(self, marks: Marks) -> None:
        """Forget where the cluster's scheduler listened, unless another scheduler has taken over."""
        path = self.clusters / f"{marks.cluster}.json"
        data = read_json(path)
        if data is not None and data["order"] == marks.order:
            path.unlink(missing_ok=True)

    def prune(self, now: datetime) -> None:
        """Remove the directories of the long dead, and the oldest beyond the newest 200."""
        dead: list[tuple[float, Run]] = []
        for run in self.all_runs():
            claim = run.claim()
            if claim is None or not claim.is_alive:
                dead.append((run.changed_at(), run))
        dead.sort(key=lambda item: item[0], reverse=True)
        oldest = (now - KEPT_FOR).timestamp()
        for place, (changed_at, run) in enumerate(dead):
            # A directory without a claim may be one that is being made right now.
            if changed_at < oldest or (place >= KEPT_DEAD and changed_at < now.timestamp() - 60):
                shutil.rmtree(run.directory, ignore_errors=True)


class Run:
    """The directory of one instance."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def handle(self) -> str:
        """The order's id, which is what ``terminate`` takes."""
        return self.directory.name

    @property
    def scratch(self) -> Path:
        """Where its Dask process spills; goes with it."""
        return self.directory / "scratch"

    def make_claim(self, marks: Marks, now: datetime) -> bool:
        """Claim the order for this process; False if somebody has. The claim appears whole or not at all."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        pid = os.getpid()
        data = {
            "marks": asdict(marks),
            "pid": pid,
            "birth": birth_of(pid),
            "host": socket.gethostname(),
            "boot": machine_boot(),
            "started_at": now.isoformat(),
        }
        draft = self.directory / f".claim-{pid}"
        draft.write_text(json.dumps(data))
        try:
            keep_room(str(self.directory))
            # A link fails if its name exists, so that of two claimants one wins, and nobody sees half a file.
            os.link(draft, self.directory / "instance.json")
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def claim(self) -> Claim | None:
        """Return who claimed it; None if nobody did, or if it is of another machine on a shared disk."""
        data = read_json(self.directory / "instance.json")
        if data is None or (data["host"] != socket.gethostname() and data["boot"] != machine_boot()):
            return None
        return read_claim(data)

    def note(self, name: str, text: str = "") -> None:
        """Leave a small file, whole or not at all."""
        _write(self.directory / name, text)

    def noted(self, name: str) -> bool:
        """Whether that file was left."""
        return (self.directory / name).exists()

    def fault(self) -> str:
        """Return the sentence a Dask process left before it ended; empty if it left none."""
        try:
            return (self.directory / "fault").read_text().strip()
        except FileNotFoundError:
            return ""

    def write_exit(self, end: Exit) -> None:
        """Write down how it ended, also where its disk is full."""
        (self.directory / ROOM).unlink(missing_ok=True)
        write_json(self.directory / "exit.json", asdict(end) | {"stopped_at": end.stopped_at.isoformat()})

    def exit(self) -> Exit | None:
        """Return how it ended; None if that isn't known."""
        data = read_json(self.directory / "exit.json")
        return None if data is None else Exit(**data | {"stopped_at": datetime.fromisoformat(data["stopped_at"])})

    def contact(self) -> Contact | None:
        """Return where its scheduler listens."""
        data = read_json(self.directory / "contact.json")
        return None if data is None else Contact(**data)

    def changed_at(self) -> float:
        """Return when the directory last changed, as a POSIX time."""
        try:
            return self.directory.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def observe(self, claim: Claim) -> ObservedInstance:
        """Return what can be said of the instance now."""
        # Asked before the exit record is read: a keeper that ends in between has written it.
        alive = claim.is_alive
        end = self.exit()
        if end is not None or not alive:
            return ObservedInstance(
                marks=claim.marks,
                handle=self.handle,
                status=InstanceStatus.STOPPED,
                started_at=claim.started_at,
                stopped_at=end.stopped_at if end else None,
                exit_code=end.exit_code if end else None,
                detail=end.detail if end else _without_a_word(claim),
            )
        contact = self.contact() if claim.marks.role is Role.SCHEDULER else None
        is_up = contact is not None or (claim.marks.role is Role.WORKER and self.noted("ready"))
        status = InstanceStatus.RUNNING if is_up else InstanceStatus.STARTING
        return ObservedInstance(
            marks=claim.marks,
            handle=self.handle,
            status=InstanceStatus.STOPPING if self.noted("stopping") else status,
            started_at=claim.started_at,
            contact=contact,
        )


def read_claim(data: Mapping[str, Any]) -> Claim:
    """Return the claim that a record describes. Raises KeyError, ValueError or TypeError for what describes none."""
    marks = {key: str(value) for key, value in data["marks"].items()}
    return Claim(
        marks=Marks(**{**marks, "role": Role(marks["role"])}),  # type: ignore[arg-type]  # the role is one
        pid=int(data["pid"]),
        birth=str(data["birth"]),
        host=str(data["host"]),
        boot=str(data["boot"]),
        started_at=datetime.fromisoformat(data["started_at"]),
    )


def _without_a_word(claim: Claim) -> str:
    if claim.boot != machine_boot():
        return "the machine was restarted while it ran"
    return "its keeper process was killed, so nobody saw how it ended"


def now_utc() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None if there is no such file, or nothing that can be read in it."""
    try:
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        # A power cut leaves files empty; one of those must not hide all other instances.
        return None
    return data if isinstance(data, dict) else None


def write_json(path: Path, data: object) -> None:
    """Write a file so that a reader sees the old or the new one whole."""
    _write(path, json.dumps(data))


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
