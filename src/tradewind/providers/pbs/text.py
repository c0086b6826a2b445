"""PBS's full listings: of jobs, queues, servers and nodes, all in one form."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
WORD = 8
"""Bytes of one: some sizes are in them."""


def read_records(text: str) -> dict[str, dict[str, str]]:
    """Return the attributes of each thing that a listing in long form shows, by its id.

    The first line of each isn't indented: ``Job Id: 12.server``, ``Queue: workq``, or a node's bare name. A line that
    begins with a tab goes on with the one before, wherever that was broken.
    """
    found: dict[str, dict[str, str]] = {}
    record: dict[str, str] = {}
    name = indent = ""
    for line in text.splitlines():
        heading = re.match(r"(?:Job Id|Queue|Server):\s*(\S+)|(\S+)\s*$", line)
        attribute = re.match(r"\s+([\w.-]+) = ?(.*)$", line)
        if heading is not None:
            record, name = found.setdefault(heading[1] or heading[2], {}), ""
        # Attributes stand behind blanks, and what goes on behind a tab; but Slurm's wrapper knows tabs alone.
        elif attribute is not None and not (name and line[0] == "\t" and indent == " "):
            name, indent = attribute[1], line[0]
            record[name] = attribute[2]
        elif name and line.strip():
            record[name] += line.strip()
    return found


def read_size(text: str) -> int:
    """Return bytes, as in ``131072000kb``; 0 where there are none."""
    found = re.fullmatch(r"(\d+)([kmgt]?)([bw]?)", text.strip().lower())
    if found is None:
        return 0
    size = int(found[1]) * UNITS[f"{found[2]}b" if found[2] else ""]
    return size * WORD if found[3] == "w" else size


def read_count(text: str) -> int:
    """Return a whole number; 0 where there is none."""
    return int(text) if text.strip().isdigit() else 0


def read_duration(text: str) -> timedelta | None:
    """Return a duration, as in ``100:30:00`` or ``3600``; None where there is none."""
    parts = text.strip().split(":")
    if not all(part.isdigit() for part in parts) or len(parts) > 4:
        return None
    days, hours, minutes, seconds = ([0] * 4 + [int(part) for part in parts])[-4:]
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def read_time(text: str) -> datetime | None:
    """Return a time, as in ``Tue Nov 24 01:02:03 2026`` (UTC, since the commands are told so) or seconds since 1970."""
    text = " ".join(text.split())
    if text.isdigit():
        return datetime.fromtimestamp(int(text), UTC) if int(text) else None
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
