"""What a host's facts mean: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tradewind.host.bare.silence import LATE_S
from tradewind.host.bare.starter import ASKED
from tradewind.host.records import read_claim
from tradewind.model.instance import Contact, InstanceStatus, Marks, ObservedInstance, Role
from tradewind.providers.ssh.inventory import Share
from tradewind.providers.ssh.known import Known, Placed

LOST_AFTER_S = 300.0
"""How much longer than an instance lives alone its host may be silent before it counts as ended.

It covers what we don't know of its last moments: a memory that is written every 30 s, an order that arrives within
:data:`~tradewind.providers.ssh.parcel.LATEST_S` of its giving, and a keeper that needs 10 s to end all it has.
"""


MET_LATELY_S = 60.0
LONGEST_ALONE_S = 1e9


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


def nonsense(facts: Any) -> str:
    """Return why these can't be a run's facts; empty where they can.

    Users' own code runs as who answers for a host, and so may answer itself. All that is made of facts later is made
    here once, where what fails concerns this run alone.
    """
    try:
        seen = observed("", facts, 0.0)
        marks, contact = facts["claim"]["marks"], seen.contact
        words = [*marks.values(), *((contact.scheduler, contact.agent) if contact is not None else ())]
        if not all(isinstance(word, str) for word in words):
            return "a word is none"
        if any(moment is not None and moment.tzinfo is None for moment in (seen.started_at, seen.stopped_at)):
            return "a moment has no time zone"
        if not isinstance(seen.exit_code, int | None) or abs(seen.exit_code or 0) >= 2**31:
            return "its exit code is none"
        if not 0 <= float(facts["claim"].get("alone_s") or 0) <= LONGEST_ALONE_S:
            return "nothing lives alone for so long"
        shares({"": {**facts, "alive": True, "exit": None}})
        never_ran(facts)
    except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        return repr(error)
    return ""


def gone_by(last: float, alone_s: float) -> float:
    """Return when an instance must have ended by itself, of which nobody has heard since ``last``; POSIX times."""
    return last + alone_s + min(LATE_S, alone_s) + LOST_AFTER_S


def met_by_schedulers(known: Known) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield each worker, as cluster and instance, of which a scheduler on this host says when it met it; POSIX.

    Users' own code runs where that is written, and what was met keeps a worker of a silent host billed. So no meeting
    is later than the answer that tells of it, and a scheduler that has ended tells of none to come.
    """
    latest = known.answered_at + known.skew_s
    for facts in known.runs.values():
        marks, crew = facts["claim"]["marks"], facts.get("crew")
        if marks["role"] != Role.SCHEDULER or not isinstance(crew, dict):
            continue
        is_up = facts["alive"] and facts["exit"] is None
        for name, at in crew.items():
            if isinstance(at, int | float) and at > 0 and (is_up or at <= latest + MET_LATELY_S):
                yield (marks["cluster"], name), min(at, latest) - known.skew_s


def with_crews(runs: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the runs with whom their schedulers met; as was said ``before`` where that was just being written."""

    def whole(handle: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        crew = before.get(handle, {}).get("crew")
        return {**facts, "crew": crew} if facts.get("crew") is None and crew is not None else facts

    return {handle: whole(handle, facts) for handle, facts in runs.items()}


def last_seen(
    seen: ObservedInstance, facts: Mapping[str, Any], answered_at: float, met_at: float, why: str, now: float
) -> ObservedInstance:
    """Return what is to be said of an instance whose host doesn't answer: as it was, until it must have ended.

    Parameters
    ----------
    seen : ObservedInstance
        As it was when its host answered.
    facts : mapping
        What the host said then.
    answered_at, met_at, now : float
        POSIX times, by our clock: when its host answered last, and when its scheduler met it last; 0 is never.
    why : str
        The host's name, and why it doesn't answer.
    """
    if seen.status is InstanceStatus.STOPPED:
        return seen
    last = max(answered_at, met_at)
    gone = gone_by(last, float(facts["claim"].get("alone_s") or 600.0))
    if now < gone:
        return replace(seen, detail=f"{why}; its scheduler reaches it" if now < met_at + MET_LATELY_S else why)
    return _given_up(seen, last, gone, why)


def never_seen(order: str, placed: Placed, marks: Marks, met_at: float, why: str, now: float) -> ObservedInstance:
    """Return what is to be said of an order that a host was given and that nobody has seen there yet.

    What the host has not said that it took isn't billed while that may turn out;
    where it never does, it is: it may have run.
    """
    started_at = datetime.fromtimestamp(placed.at, UTC)
    last, is_taken = max(placed.at, met_at), placed.is_taken or met_at > 0
    seen = ObservedInstance(
        marks=marks,
        handle=handle_of(placed.host, order),
        status=InstanceStatus.STARTING if is_taken else InstanceStatus.PENDING,
        started_at=started_at if is_taken else None,
        detail=why,
    )
    gone = gone_by(last, placed.alone_s)
    return seen if now < gone else _given_up(replace(seen, started_at=started_at), last, gone, why)


def _given_up(seen: ObservedInstance, last: float, gone: float, why: str) -> ObservedInstance:
    # At the last moment at which it may have run: a bill may be corrected downwards once more is known, but what a
    # budget allows must hold whatever turns out.
    stopped_at = datetime.fromtimestamp(gone, UTC)
    return replace(
        seen,
        status=InstanceStatus.STOPPED,
        stopped_at=max(stopped_at, seen.started_at or stopped_at),
        detail=f"{why}; it hasn't answered since {datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M} UTC, and what "
        "nobody looks after ends by itself",
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
