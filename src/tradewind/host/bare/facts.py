"""What stands in a run directory, as far as it makes sense.

The code of users runs as the account that owns these files, so it can write anything into any of them. Nothing here
may end the station, which answers for all instances of its host: what isn't what we would have written is none.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from tradewind.host.bare.ground import read_json

MARKS = ("installation", "workspace", "cluster", "instance", "order", "role")
WORDS_LIMIT = 10_000
"""Characters of what a run says of itself."""
MOST = 1e18
"""What counts anything, or is a moment, is less."""


def claim_in(directory: str) -> Any:
    """Return who looks after a run; None where nobody does, or what stands there is no claim."""
    data = _object_in(directory, "instance.json")
    marks = data.get("marks")
    if not (isinstance(marks, dict) and all(_is_word(marks.get(key)) for key in MARKS)):
        return None
    claim = {key: data.get(key) for key in ("birth", "host", "boot", "started_at")}
    share = {key: data[key] for key in ("cpus", "memory", "alone_s") if data.get(key) is not None}
    gpus = data.get("gpus") or []
    numbers = [data.get("pid"), *share.values(), *(gpus if isinstance(gpus, list) else [None])]
    if not (all(map(_is_word, claim.values())) and all(map(_is_number, numbers)) and _is_moment(claim["started_at"])):
        return None
    gpus = {"gpus": [int(index) for index in gpus]} if "gpus" in data else {}
    return {**claim, **share, **gpus, "pid": int(data["pid"]), "marks": {key: marks[key] for key in MARKS}}


def end_in(directory: str) -> Any:
    """Return how a run ended; None where that isn't known."""
    data = _object_in(directory, "exit.json")
    code, detail = data.get("exit_code"), data.get("detail")
    is_code = code is None or (isinstance(code, int) and abs(code) < 2**31)
    if not (is_code and isinstance(detail, str) and _is_moment(data.get("stopped_at"))):
        return None
    return {"stopped_at": data["stopped_at"], "exit_code": code, "detail": detail[:WORDS_LIMIT]}


def contact_in(directory: str) -> Any:
    """Return where a scheduler listens; None where it doesn't."""
    data = _object_in(directory, "contact.json")
    dashboard = data.get("dashboard")
    if not (_is_word(data.get("scheduler")) and _is_word(data.get("agent"))):
        return None
    return {
        **{key: data[key] for key in ("scheduler", "agent")},
        "dashboard": dashboard if _is_word(dashboard) else None,
    }


def crew_in(directory: str) -> Any:
    """Return when a scheduler met which worker; None of what is no scheduler."""
    data = _object_in(directory, "crew.json", None)
    return data and {name: at for name, at in data.items() if _is_number(at)}


def _object_in(directory: str, name: str, none: Any = {}) -> Any:  # noqa: B006 - nobody changes it
    data = read_json(os.path.join(directory, name))
    return data if isinstance(data, dict) else none


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= WORDS_LIMIT


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value < MOST


def _is_moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False
