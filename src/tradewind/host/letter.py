"""A task on its way to another host: JSON, with all its secrets, for an encrypted channel and a pipe at its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tradewind import wire
from tradewind.boot.process import Boot
from tradewind.host.task import Task
from tradewind.model.instance import Marks


def write_letter(task: Task) -> dict[str, Any]:
    """Return JSON-ready data. What software the machine must have is left out: who reads this runs in it."""
    boot = wire.dump(task.boot)
    boot.pop("software")
    return {
        "root": str(task.root),
        "marks": wire.dump(task.marks),
        "boot": boot,
        "expires_at": task.expires_at.isoformat() if task.expires_at is not None else None,
        "address": task.address,
        "counts_silence": task.counts_silence,
        "farewell": [list(command) for command in task.farewell],
    }


def read_letter(data: Mapping[str, Any]) -> Task:
    """Return the task, as that of a process that was started for it. Raises BadRequest for what isn't one."""
    expires_at = data["expires_at"]
    return Task(
        root=Path(data["root"]),
        marks=wire.load(Marks, data["marks"]),
        boot=wire.load(Boot, data["boot"]),
        expires_at=datetime.fromisoformat(expires_at) if expires_at is not None else None,
        address=data["address"],
        is_fresh=True,
        counts_silence=data["counts_silence"],
        farewell=tuple(tuple(map(str, command)) for command in data.get("farewell", ())),
    )
