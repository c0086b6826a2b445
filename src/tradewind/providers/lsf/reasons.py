"""LSF's reasons, in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence

WAITS: Sequence[tuple[str, str]] = (
    (r"new job is waiting for scheduling", "LSF hasn't looked at it yet"),
    (r"job dependency condition not satisfied", "it waits until the cluster's scheduler has started"),
    (r"dependency condition (invalid|never)", "the job that it waits for will never start"),
    (r"job slot limit|slot(s)? limit|limit .*reached|has reached", "as much as is allowed runs already"),
    (
        r"not enough (slots|hosts|processors)|resource.*(not enough|not met|not satisfied)|reservation",
        "all that fits is taken",
    ),
    (r"closed by|not enough|busy|exclusively", "the nodes that fit are full or closed"),
    (r"unavailable|unreachable|down", "the nodes that fit are down"),
    (r"queue.*(inactivated|closed|not.*window)|dispatch window", "its queue starts no jobs at the moment"),
    (r"fairshare|priority", "jobs of others with a higher priority go first"),
)
"""Parts of a reason, as bjobs writes them, and what they mean; the first that fits."""
NEVER = re.compile(
    r"no host(s)? (can be used|satisfies|satisfy|meet)|never be satisfied|dependency condition (invalid|never)"
    r"|exceeds? the (queue|cluster|application)|job's requirements? .*not .*any host",
    re.IGNORECASE,
)
"""Reasons that pass by no waiting."""
ENDS: Sequence[tuple[str, str]] = (
    ("TERM_MEMLIMIT", "used more memory than it had asked for, and was killed"),
    ("TERM_SWAP", "used more swap than is allowed, and was killed"),
    ("TERM_RUNLIMIT", "its walltime was over"),
    ("TERM_DEADLINE", "its last moment was over"),
    ("TERM_CPULIMIT", "used more CPU time than is allowed, and was killed"),
    ("TERM_PROCESSLIMIT", "had more processes than are allowed, and was killed"),
    ("TERM_THREADLIMIT", "had more threads than are allowed, and was killed"),
    ("TERM_OWNER", "was cancelled"),
    ("TERM_FORCE_OWNER", "was cancelled"),
    ("TERM_ADMIN", "an administrator ended it"),
    ("TERM_FORCE_ADMIN", "an administrator ended it"),
    ("TERM_PREEMPT", "had to make room for a job of a higher priority"),
    ("TERM_LOAD", "its node had too much to do, so LSF ended it"),
    ("TERM_WINDOW", "its queue's hours were over"),
    ("TERM_ORPHAN_SYSTEM", "the job that it waited for never started"),
    ("TERM_REMOVE_HUNG_JOB", "LSF lost sight of it and ended it"),
    ("TERM_UNKNOWN", ""),
)
"""Beginnings of a reason why a job ended."""
OWNERS = 130
"""How a job ends that its owner cancels before it has begun."""


def waiting(state: str, reason: str) -> str:
    """Return why a job waits, in plain words with LSF's own behind."""
    if state == "PSUSP":
        return "it is held: release it with `bresume`"
    said = "; ".join(part.strip(" ;.") for part in reason.splitlines() if part.strip(" ;.")) or ""
    if said in {"", "-"}:
        return "LSF hasn't looked at it yet"
    plain = next((words for part, words in WAITS if re.search(part, said, re.IGNORECASE)), "")
    return f"{plain} (LSF: {said})" if plain else f"LSF says {said}"


def ended(state: str, code: int | None, reason: str, *, ran: bool) -> str:
    """Return how a job ended, in plain words."""
    if state == "DONE":
        return "ended by itself"
    for beginning, words in ENDS:
        if reason.startswith(beginning) and words:
            return words
    if not ran:
        return "was cancelled while it waited"
    told = f" ({reason})" if reason not in {"", "-"} else ""
    return f"failed with exit code {code}; its log says more{told}" if code is not None else f"ended{told}"
