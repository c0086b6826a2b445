"""Task groups of one span, added up by key prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tradewind.agent.failures import KEY_LIMIT, clip, whole_number

if TYPE_CHECKING:
    from distributed.scheduler import TaskGroup

GROUP_LIMIT = 200
"""Lines of one computation; further prefixes are added up in the last, named "(others)"."""
FIELDS = ("tasks", "done", "erred", "compute_seconds", "transfer_seconds", "disk_seconds", "nbytes")

_Line = tuple[int, int, int, float, float, float, int]


class GroupLines:
    """Remembers what was read of each group: a graph can have a thousand, of which few change within a second."""

    def __init__(self) -> None:
        self._lines: dict[TaskGroup, tuple[object, _Line]] = {}

    def by_prefix(self, groups: Iterable[TaskGroup], failed: Counter[str]) -> list[dict[str, Any]]:
        """Return a line per prefix as JSON-ready data, in the order the first of their groups began.

        Parameters
        ----------
        groups : iterable of TaskGroup
            The span's own.
        failed : Counter
            Tasks by prefix that were seen to fail: one that was let go of since is merely "forgotten" in Dask.
        """
        totals: dict[str, list[Any]] = {}
        order: dict[str, float] = {}
        for group in groups:
            line = self._line(group)
            name = group.prefix.name
            total = totals.get(name)
            if total is None:
                totals[name] = [*line]
                order[name] = group.start or float("inf")
                continue
            for index, value in enumerate(line):
                total[index] += value
            if group.start and group.start < order[name]:
                order[name] = group.start
        lines: dict[str, list[Any]] = {}
        for name in sorted(totals, key=lambda name: (order[name], name)):
            prefix, total = clip(name, KEY_LIMIT), totals[name]
            # One that was retried with success is done, not failed.
            total[2] = min(max(total[2], failed[prefix]), total[0] - total[1])
            if len(lines) < GROUP_LIMIT - 1 or len(totals) == len(lines) + 1:
                lines[prefix] = total
            else:
                others = lines.setdefault("(others)", [0] * len(FIELDS))
                others[:] = [mine + further for mine, further in zip(others, total, strict=True)]
        return [{"prefix": prefix, **dict(zip(FIELDS, total, strict=True))} for prefix, total in lines.items()]

    def _line(self, group: TaskGroup) -> _Line:
        erred = group.states["erred"]
        seconds = group._all_durations_us
        state = (len(group), erred, group.nbytes_total, sum(seconds.values()), sum(group._types.values()))
        known = self._lines.get(group)
        if known is not None and known[0] == state:
            return known[1]
        line = (
            state[0],
            # Results by type are the only count of what ran: "released" and "forgotten" hold the never started as well.
            min(state[0], state[4]),
            erred,
            seconds.get("compute", 0) / 1e6,
            seconds.get("transfer", 0) / 1e6,
            (seconds.get("disk-read", 0) + seconds.get("disk-write", 0)) / 1e6,
            whole_number(group.nbytes_total),
        )
        self._lines[group] = state, line
        return line
