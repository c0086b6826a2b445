"""PBS's comments and exit codes, in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence

NEVER = "Can Never Run"
WAITS: Sequence[tuple[str, str]] = (
    (r"insufficient amount of (queue |server )?resource", "what it asks for is taken at the moment"),
    (r"not enough (free|total) nodes|not enough of the right type", "all nodes that fit are taken"),
    (r"no available resources on nodes|nodes not available", "all nodes that fit are taken"),
    (r"limit (has been )?reached|has reached .*limit|would exceed", "as much as is allowed runs already"),
    (r"queue not started", "its queue starts no jobs at the moment"),
    (r"not an execution queue", "it is still being sent to a queue that runs jobs"),
    (r"dedicated time|primetime|cross into", "it wouldn't be over before a time that is kept for others"),
    (r"interfere with|strict sorted order|conflict with", "jobs that go first would be delayed"),
    (r"fairshare", "your fair share is used up"),
    (r"ineligible (state|type)", "the nodes that fit are down or kept for others"),
    (r"reservation", "nodes are reserved"),
)
"""Parts of a comment, as the scheduler writes them, and what they mean."""
HELD = {"u": "it is held: release it with `qrls`", "s": "PBS holds it", "o": "an operator holds it", "n": ""}
ENDS = {
    -29: "its walltime was over",
    -28: "used more CPU time than it had asked for, and was killed",
    -27: "used more memory than it had asked for, and was killed",
    -26: "used more virtual memory than it had asked for, and was killed",
    -25: "used more cores than it had asked for, and was killed",
    -24: "used more cores than it had asked for, and was killed",
    -20: "its node couldn't be reached",
    -10: "its node doesn't know your account",
    -5: "its node was restarted",
    -4: "its node was restarted",
    -2: "couldn't be started on its node",
    -1: "couldn't be started on its node",
}
"""By PBS's own codes, which are below 0; Torque has the first ten of them too, with other meanings from -11 on."""
TORQUE_ENDS = {-11: "its walltime was over", -10: "used more memory than it had asked for, and was killed"}
SIGNALS = (128, 256)
"""What is added to the number of the signal that ended a job, by shells and by PBS."""
KILLED = {15: "was cancelled", 2: "was cancelled", 9: "was killed"}


def waiting(state: str, comment: str, holds: str) -> str:
    """Return why a job waits, in plain words with PBS's own behind."""
    if state == "H":
        found = [words for kind, words in HELD.items() if kind in holds and words]
        return found[0] if found else "it waits for another job"
    if state == "W":
        return "it was told to begin later"
    if state == "T":
        return "it is being moved to another queue"
    said = re.sub(rf"^(Not Running|{NEVER}):\s*", "", comment).strip()
    if not said:
        return "PBS hasn't looked at it yet"
    plain = next((words for part, words in WAITS if re.search(part, said, re.IGNORECASE)), "")
    return f"{plain} (PBS: {said})" if plain else f"PBS says {said}"


def ended(code: int | None, comment: str, *, torque: bool) -> str:
    """Return how a job ended, in plain words."""
    if code is None:
        return "was cancelled while it waited"
    if code == 0:
        return "ended by itself"
    known = {**ENDS, **TORQUE_ENDS} if torque else ENDS
    if code in known:
        return known[code]
    for base in SIGNALS:
        if code - base in KILLED:
            return KILLED[code - base]
    return f"failed with exit code {code}; its log says more" if code > 0 else f"PBS ended it ({comment or code})"
