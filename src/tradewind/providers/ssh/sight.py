"""What a host's facts mean: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tradewind.host.bare.starter import ASKED
from tradewind.host.records import read_claim
from tradewind.model.instance import Contact, InstanceStatus, ObservedInstance, Role
from tradewind.providers.ssh.inventory import Share

LOST_AFTER = timedelta(minutes=5)
"""How much longer than an instance lives alone its host may be silent before it counts as ended."""


def handle_of(host: str, order: str) -> str:
    """Return what ``terminate`` takes."""
    return f"{host}/{order}"


def host_of(handle: str) -> str:
    """Return the name of the host in a handle."""
    return handle.partition("/")[0]


def observed(host: str, facts: Mapping[str, Any], skew_s: float) -> ObservedInstance:
    """Return what is to be said of a run of ``host``, by our clock; that host's is ``skew_s`` ahead.

    Raises
    ------
    KeyError, ValueError, TypeError
        These are no facts of a run.
    """
    claim = read_claim(facts["claim"])
    handle = handle_of(host, claim.marks.order)
    skew = timedelta(seconds=skew_s)
    started_at = claim.started_at - skew
    end = facts["exit"]
    if end is not None or not facts["alive"]:
        stopped_at = max(started_at, datetime.fromisoformat(end["stopped_at"]) - skew) if end else None
        return ObservedInstance(
            marks=claim.marks,
            handle=handle,
            status=InstanceStatus.STOPPED,
            started_at=started_at,
            stopped_at=stopped_at,
            exit_code=end["exit_code"] if end else None,
            detail=f"on {host}: {end['detail'] if end else _without_a_word(facts)}".rstrip("."),
        )
    contact = facts["contact"] if claim.marks.role is Role.SCHEDULER else None
    is_up = contact is not None or (claim.marks.role is Role.WORKER and "ready" in facts["notes"])
    status = InstanceStatus.RUNNING if is_up else InstanceStatus.STARTING
    words = str(facts["progress"]) if not is_up else ""
    return ObservedInstance(
        marks=claim.marks,
        handle=handle,
        status=InstanceStatus.STOPPING if "stopping" in facts["notes"] else status,
        started_at=started_at,
        detail=f"on {host}: {words}" if words else f"on {host}",
        contact=Contact(**{key: contact[key] for key in ("scheduler", "agent", "dashboard")}) if contact else None,
    )


def last_seen(
    seen: ObservedInstance, facts: Mapping[str, Any], answered_at: float, why: str, now: float
) -> ObservedInstance:
    """Return what is to be said of an instance whose host doesn't answer: as it was, until it must have ended.

    Parameters
    ----------
    seen : ObservedInstance
        As it was when its host answered.
    facts : mapping
        What the host said then.
    answered_at, now : float
        POSIX times, by our clock.
    why : str
        The host's name, and why it doesn't answer.
    """
    if seen.status is InstanceStatus.STOPPED:
        return seen
    alone = timedelta(seconds=float(facts["claim"].get("alone_s") or 600.0)) + LOST_AFTER
    last = datetime.fromtimestamp(answered_at, UTC)
    if timedelta(seconds=now - answered_at) <= alone:
        return replace(seen, detail=why)
    return replace(
        seen,
        status=InstanceStatus.STOPPED,
        stopped_at=max(last, seen.started_at or last),
        detail=f"{why}; it hasn't answered since {last:%Y-%m-%d %H:%M} UTC, and what nobody looks after ends by itself",
        contact=None,
    )


def never_ran(facts: Mapping[str, Any]) -> bool:
    """Whether it ended by itself before it was up: something is wrong with its host, or with its software."""
    end = facts["exit"]
    was_asked = end is not None and end["detail"] == ASKED
    is_dead = end is not None or not facts["alive"]
    return is_dead and not was_asked and "ready" not in facts["notes"] and facts["contact"] is None


def shares(runs: Mapping[str, Mapping[str, Any]]) -> Share:
    """Return what all that is alive on a host takes, whoever it belongs to."""
    taken = Share()
    for facts in runs.values():
        claim = facts["claim"]
        if facts["alive"] and facts["exit"] is None:
            taken += Share(
                cpus=float(claim.get("cpus") or 0),
                memory=int(claim.get("memory") or 0),
                gpus=len(claim.get("gpus") or ()),
            )
    return taken


def _without_a_word(facts: Mapping[str, Any]) -> str:
    if not facts["same_boot"]:
        return "the host was restarted while it ran"
    words = "its keeper process was killed, so nobody saw how it ended"
    last = str(facts.get("last_words") or "")
    return f"{words}; the last line of its log: {last}" if last else words
