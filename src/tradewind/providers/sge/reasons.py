"""Grid Engine's states and codes of failure, in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from tradewind.providers.batch.sight import BY_ITSELF

FAILURES: Mapping[int, str] = {
    1: "its node couldn't start it",
    7: "the site's prologue failed",
    8: "the site's prologue failed",
    9: "its parallel environment couldn't be started",
    10: "its parallel environment couldn't be started",
    11: "its parallel environment couldn't be started",
    15: "the site's epilogue failed",
    19: "its node failed",
    21: "its node didn't know it any more",
    22: "its node didn't know it any more",
    24: "it was moved to another node",
    25: "it was started again",
    26: "its node can't write where its log is to be: the directory isn't there, or is full",
    27: "its node doesn't have the shell",
    28: "its node doesn't have the working directory",
    29: "its node couldn't set up its parallel environment",
    30: "the accounts of its node say nothing",
    37: "passed a limit of its queue (time, or memory), and was killed",
}
"""By the number of ``failed`` in the accounts; 100 says only that it didn't end by itself."""
KILLED = 137
NOTIFIED = 140
"""What a shell makes of SIGUSR2, the warning before the kill."""


def waiting(state: str) -> str:
    """Return why a job of this state waits, in plain words with Grid Engine's own behind."""
    if "E" in state:
        return "its node couldn't start it, and Grid Engine tries no more (Grid Engine: Eqw)"
    if "h" in state:
        return f"it is held: release it with `qrls` (Grid Engine: {state})"
    return f"the slots or the memory that it asks for aren't free yet (Grid Engine: {state})"


def ended(failed: int, exit_status: int, *, lasted: timedelta | None, walltime: timedelta | None) -> str:
    """Return how a job ended, in plain words.

    Parameters
    ----------
    failed, exit_status : int
        As in the accounts.
    lasted, walltime : timedelta, optional
        How long it ran, and might have run; None where that isn't known.
    """
    if failed in {0, 37, 100} and lasted is not None and walltime is not None and lasted >= walltime:
        return "its walltime was over"
    if failed == 0:
        return BY_ITSELF if exit_status == 0 else f"failed with exit code {exit_status}; its log says more"
    if failed == 100:
        if exit_status == NOTIFIED:
            return "was cancelled"
        killed = exit_status == KILLED
        return "was cancelled, or killed for a limit" if killed else f"was killed (Grid Engine: exit {exit_status})"
    plain = FAILURES.get(failed)
    return f"{plain} (Grid Engine: {failed})" if plain else f"Grid Engine says that it failed with code {failed}"


def reason(text: str) -> str:
    """Return why a job is in error, from ``qstat -j``; empty where it doesn't say."""
    found = re.search(r"^error reason\s+\d+:\s+(?:[\d/]+ [\d:]+ )?(?:\[[\d:]+\]: )?(.+)$", text, re.MULTILINE)
    return found[1].strip().removeprefix("error: ") if found is not None else ""
