"""The server's log: lines for people, or JSON for programs; each with the request that it belongs to."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from tradewind.engine.engine import looking_after
from tradewind.server.context import current
from tradewind.wire import printable

FIELDS = ("request_id", "user", "workspace", "cluster")
EXTRA = ("status", "duration_s")


class Lines(logging.Formatter):
    """One line for each record; an error's traceback follows it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told = {name: value for name, value in known(record).items() if name != "status"}
        seconds = told.pop("duration_s", None)
        parts = [_time(record), f"{record.levelname.lower():<7}", record.getMessage()]
        if seconds is not None:
            parts.append(f"{seconds * 1000:.1f} ms")
        parts += [f"{name}={value}" for name, value in told.items()]
        # What somebody sent may stand in a message: no line of it may look like one of ours, nor tell a terminal what
        # to do.
        text = printable(" ".join(parts).replace("\n", "\\n").replace("\r", "\\r"))
        return text if record.exc_info is None else f"{text}\n{self.formatException(record.exc_info)}"


class JsonLines(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        said: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **known(record),
        }
        if record.exc_info is not None:
            said["traceback"] = self.formatException(record.exc_info)
        return printable(json.dumps(said, ensure_ascii=False, default=str))


def known(record: logging.LogRecord) -> dict[str, Any]:
    """Return what is known about a record beside its message."""
    about = current.get()
    told = {name: getattr(about, name) for name in FIELDS} if about is not None else {}
    told = {"cluster": looking_after.get()} | {name: value for name, value in told.items() if value is not None}
    told |= {name: getattr(record, name, None) for name in EXTRA}
    return {name: value for name, value in told.items() if value is not None}


def begin(log_format: str, *, verbose: bool = False) -> None:
    """Write this process's log to standard error from now on."""
    out = logging.StreamHandler()
    out.setFormatter(JsonLines() if log_format == "json" else Lines())
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(logging.WARNING)
    logging.getLogger("tradewind").setLevel(logging.DEBUG if verbose else logging.INFO)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
