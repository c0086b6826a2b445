"""What cost is shown by: one dimension or several, of which some belong to a usage and some cut it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tradewind.errors import BadRequest
from tradewind.model.usage import Usage
from tradewind.planning.tally import EPOCH, HEAD, SECOND, Amounts, plus

NOT_COMPUTING = "not computing"
NOT_YOURS_TO_READ = "of others"
"""Time of clusters whose computations whoever asks may not read; what ran there isn't told, nor whether."""
DAY = 24 * 3600 * SECOND
COMPUTATION = "computation"
TAG = "tag:"

KEYS: Mapping[str, Callable[[Usage], str]] = {
    "cluster": lambda usage: usage.cluster_name,
    "user": lambda usage: usage.owner,
    "provider": lambda usage: usage.provider,
    "region": lambda usage: usage.region or "(no region)",
    "vm_type": lambda usage: usage.vm_type,
    "role": lambda usage: usage.role.value,
}
"""What whole usages can be grouped by; times and computations cut them, tags are open-ended."""

TIMES: Mapping[str, int] = {"day": len("2026-03-01"), "month": len("2026-03")}
"""What cuts usages by the calendar, UTC: how much of a day's name it keeps."""


def dimensions(by: str) -> tuple[str, ...]:
    """Return what a text as ``user,tag:project,day`` asks to group by, each once, in its order.

    Raises
    ------
    BadRequest
        One of them is nothing that cost can be shown by.
    """
    found = tuple(dict.fromkeys(part.strip() for part in by.split(",")))
    for one in found:
        if one in KEYS or one in TIMES or one == COMPUTATION or (one.startswith(TAG) and one != TAG):
            continue
        known = ", ".join(f'"{name}"' for name in (*KEYS, *TIMES, COMPUTATION, "tag:<key>"))
        raise BadRequest(f"cost can't be shown by {one!r}: use one of {known}, or several with commas between")
    return found


def name_of(dimension: str, usage: Usage, at: int) -> str:
    """Return where ``usage`` stands in a dimension at a moment (microseconds); "" where computations decide."""
    if dimension in TIMES:
        return day_of(at)[: TIMES[dimension]]
    if dimension in KEYS:
        return KEYS[dimension](usage)
    if dimension == COMPUTATION:
        return ""
    tag = dimension.removeprefix(TAG)
    return usage.tags.get(tag, f"(no {tag})")


def day_of(at: int) -> str:
    """Return the day, UTC, that a moment (microseconds) is in."""
    return (EPOCH + timedelta(days=at // DAY)).date().isoformat()


def days(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield an interval (microseconds) cut at each midnight, UTC."""
    while start < stop:
        until = min(stop, (start // DAY + 1) * DAY)
        yield start, until
        start = until


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rank:
    """Where a line stands among those that agree with it in all dimensions before."""

    dimension: str
    name: str
    total: Amounts

    def __call__(self) -> tuple[object, ...]:
        if self.dimension in TIMES:
            return (self.name,)
        is_rest = self.dimension == COMPUTATION and self.name in {NOT_COMPUTING, NOT_YOURS_TO_READ}
        return (is_rest, *(-n for n in self.total[HEAD:]), -self.total[0], self.name)


def in_order(tallies: Mapping[tuple[str, ...], Amounts], asked: Sequence[str]) -> dict[tuple[str, ...], Amounts]:
    """Return tallies sorted dimension by dimension: times as they came, all else the dearest first.

    By money, currency after currency, then by time, then by name; what belongs to no computation comes last.
    """
    totals: dict[tuple[str, ...], Amounts] = {}
    for names, amounts in tallies.items():
        for head in _heads(names):
            totals[head] = plus(totals[head], amounts) if head in totals else amounts

    def place(names: tuple[str, ...]) -> tuple[tuple[object, ...], ...]:
        heads = zip(asked, _heads(names), strict=True)
        return tuple(_Rank(dimension=dimension, name=head[-1], total=totals[head])() for dimension, head in heads)

    return {names: tallies[names] for names in sorted(tallies, key=place)}


def _heads(names: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return (names[: length + 1] for length in range(len(names)))
