"""What ran: Dask's spans, looked at once a second."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from distributed.metrics import time as scheduler_time

from tradewind.agent.failures import KEY_LIMIT, Failures, SpanFailures, clip, clip_and_scrub, whole_number
from tradewind.agent.groups import GroupLines

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskGroup
    from distributed.spans import Span

LAST_TIMESTAMP = 2.0e11
SETTLE_SECONDS = 30.0
"""For how long a done span is still looked at: metrics come with the workers' heartbeats, after the last task."""
KEPT_COMPUTATIONS = 2000
"""The oldest settled ones are dropped beyond this; whoever pulls the page has them by then."""
PAGE_COMPUTATIONS = 200
PAGE_TEXT = 1_000_000
"""Characters of errors and code after which a page is full: readers refuse more than 8 MiB, a character can take 6."""
SNIPPETS = 10
SNIPPET_LIMIT = 20_000
ACTIVITIES = 40
SECONDS_LIMIT = 1e12
"""Code of users may add to the workers' metrics, even infinity; what is beyond this is no duration."""


def iso(timestamp: float) -> str | None:
    """Return a timestamp as ISO 8601 in UTC; None for Dask's 0, "not yet", and for what no calendar holds."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat() if 0 < timestamp < LAST_TIMESTAMP else None


@dataclass(slots=True, eq=False)
class _Record:
    """One span as it was last seen."""

    span: Span
    version: int = 0
    """The cursor at which it last changed; 0 was never sent."""
    page: dict[str, Any] = field(default_factory=dict)
    group_count: int = -1
    changed_at: float = 0.0
    runs: list[tuple[float, float]] = field(default_factory=list)
    """When its tasks ran, as intervals that don't touch; what runs now isn't in it yet."""
    since: dict[TaskGroup, float] = field(default_factory=dict)
    """From when on the groups run that do so now."""
    seen: dict[TaskGroup, tuple[int, float]] = field(default_factory=dict)
    """Size and end of groups when they were last seen done."""
    lines: GroupLines = field(default_factory=GroupLines)
    workers: int = 0
    text: int = 0
    """Characters of its errors and code."""
    snippets: int = 0
    code: list[str] = field(default_factory=list)


class History:
    """Computations of one scheduler, with the cursor at which each last changed.

    A computation is a span *that has task groups of its own*, and of those groups alone: a parent whose tasks all
    belong to sub-spans is left out, and nothing is counted twice.

    Spans live for ever in Dask, so most must not be looked at: only new ones, those that have unfinished tasks or got
    another group, and those that were done less than 30 s ago.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose spans they are.
    cluster_id : str
        Stands in each computation.
    record_code : bool
        Whether the code that clients send along is kept.
    failures : Failures
        What failed, by span.
    """

    def __init__(self, scheduler: Scheduler, *, cluster_id: str, record_code: bool, failures: Failures) -> None:
        self._scheduler = scheduler
        self._cluster_id = cluster_id
        self._record_code = record_code
        self._failures = failures
        self._records: dict[str, _Record] = {}
        self._live: dict[str, _Record] = {}
        self._seen_spans = 0
        self._transitions = -1
        self._polled_at = 0.0
        self.cursor = 0

    def poll(self) -> None:
        """Take over what changed since the last poll."""
        extension = self._scheduler.extensions.get("spans")
        if extension is None:
            return
        moved = self._scheduler.transition_counter != self._transitions
        self._transitions = self._scheduler.transition_counter
        if moved:
            self._discover(extension.spans)
        now = scheduler_time()
        for record in list(self._live.values()):
            self._update(record, now)
        self._polled_at = now
        self._drop_oldest()

    def changed_since(self, cursor: int) -> tuple[list[dict[str, Any]], int]:
        """Return computations that changed after ``cursor``, the earliest change first, and the next cursor.

        At most 200, or a million characters, at once; the next cursor then makes the next page go on from there.
        A cursor of the future (from before this scheduler was started anew) begins at the start.
        """
        if cursor > self.cursor:
            cursor = 0
        changed = sorted(
            (record for record in self._records.values() if record.version > cursor), key=lambda record: record.version
        )
        page: list[dict[str, Any]] = []
        text = 0
        for record in changed:
            if len(page) == PAGE_COMPUTATIONS or (page and text + record.text > PAGE_TEXT):
                return page, cursor
            page.append(record.page)
            text += record.text
            cursor = record.version
        return page, self.cursor

    def _discover(self, spans: dict[str, Span]) -> None:
        for span in islice(spans.values(), self._seen_spans, None):
            self._records[span.id] = self._live[span.id] = _Record(span=span)
        self._seen_spans = len(spans)
        # A finished span comes to life again when its block computes once more, or when a lost result is made anew.
        for span_id, record in self._records.items():
            if span_id not in self._live and len(record.span.groups) != record.group_count:
                self._live[span_id] = record
        # A group lives as long as one of its results; a further task of the same name joins it, in the same span.
        for group in self._scheduler.task_groups.values():
            span_id = group.span_id
            if span_id is None or span_id in self._live:
                continue
            record = self._records.setdefault(span_id, _Record(span=spans[span_id]))
            if record.seen.get(group) != (len(group), group.stop) or not group.done:
                self._live[span_id] = record

    def _update(self, record: _Record, now: float) -> None:
        groups = list(record.span.groups)
        record.group_count = len(groups)
        if not groups:
            del self._live[record.span.id]  # a parent of spans; it comes back with its first group
            return
        done = self._notice_runs(record, groups, now)
        if not done:
            record.workers = max(record.workers, len(self._scheduler.workers))
        elif not record.workers:
            record.workers = len(self._scheduler.workers)
        page = self._describe(record, groups, done, now)
        if page != record.page:
            self.cursor += 1
            record.page, record.version, record.changed_at = page, self.cursor, now
            record.text = sum(map(len, page["code"])) + sum(
                len(error["exception"]) + len(error["traceback"]) for error in page["errors"]
            )
        elif done and now - record.changed_at > SETTLE_SECONDS:
            del self._live[record.span.id]

    def _notice_runs(self, record: _Record, groups: Iterable[TaskGroup], now: float) -> bool:
        """Take over when groups ran; return whether all have ended."""
        all_done, runs_before = True, len(record.runs)
        for group in groups:
            size, ended = record.seen.get(group, (0, 0.0))
            if not group.done:
                all_done = False
                if group.start and not ended:
                    record.since[group] = group.start
                elif group.states["processing"]:
                    record.since.setdefault(group, now)  # Dask knows a start only once a task has ended
                continue
            if ended and ended == group.stop and size == len(group) and group not in record.since:
                continue
            began = record.since.pop(group, None)
            if group.stop > ended:
                # Dask keeps the first start and the last end of a group; the pauses between are known from polls alone.
                first = group.start if not ended else max(ended, self._polled_at)
                record.runs.append((first if began is None or not ended else began, group.stop))
            elif began is not None:
                record.runs.append((began, now))  # it ended without one success, and Dask keeps no times of that
            record.seen[group] = (len(group), group.stop)
        if len(record.runs) != runs_before:
            record.runs = list(_merge(record.runs))
        return all_done

    def _describe(self, record: _Record, groups: list[TaskGroup], done: bool, now: float) -> dict[str, Any]:
        span = record.span
        failures = self._failures.by_span.get(span.id, SpanFailures())
        runs = [*record.runs, *((start, now) for start in record.since.values())]
        started = max(min(start for start, _ in runs), span.enqueued) if runs else 0.0
        stopped = max([failures.last_at, *(stop for _, stop in runs)]) if done else 0.0
        if done and not started and failures.last_at:
            started = span.enqueued  # all it had failed within a second: nobody knows better
        # Counted from when it was asked for: threads that waited for its first task were there for it, too.
        offered = self._thread_seconds([(span.enqueued, started or (span.enqueued if done else now)), *runs])
        activities = _activities(span, offered)
        return {
            "id": clip(span.id, 64),
            "cluster_id": self._cluster_id,
            "name": clip(" / ".join(map(str, span.name)), KEY_LIMIT),
            "started_at": iso(started),
            "stopped_at": iso(max(stopped, started)) if done else None,
            "done": done,
            "groups": record.lines.by_prefix(groups, failures.by_prefix),
            "activity_seconds": activities,
            "active_cpu_seconds": round(offered, 3),
            "nbytes": whole_number(sum(group.nbytes_total for group in groups)),
            "code": self._code(record),
            "errors": [error | {"at": iso(error["at"])} for error in failures.errors],
            "workers": record.workers,
        }

    def _code(self, record: _Record) -> list[str]:
        if self._record_code and len(record.span._code) != record.snippets:
            record.snippets = len(record.span._code)
            texts = {_around(frame.code, frame.lineno_relative) for stack in record.span._code for frame in stack}
            record.code = [clip_and_scrub(text, SNIPPET_LIMIT) for text in islice(sorted(texts), SNIPPETS)]
        return record.code

    def _thread_seconds(self, intervals: list[tuple[float, float]]) -> float:
        """Return how many thread-seconds the cluster offered within ``intervals``; where they overlap, once."""
        history = self._scheduler.total_nthreads_history
        total = 0.0
        for start, stop in _merge(intervals):
            index = max(0, bisect_right(history, start, key=itemgetter(0)) - 1)
            while index < len(history) and history[index][0] < stop:
                until = history[index + 1][0] if index + 1 < len(history) else stop
                total += max(0.0, min(stop, until) - max(start, history[index][0])) * history[index][1]
                index += 1
        return total

    def _drop_oldest(self) -> None:
        excess = len(self._records) - KEPT_COMPUTATIONS
        if excess <= 0:
            return
        settled = [record for span_id, record in self._records.items() if span_id not in self._live and record.version]
        for record in settled[:excess]:
            record.page, record.version, record.code = {}, 0, []
            self._failures.forget(record.span.id)


def _around(code: str, line: int) -> str:
    """Return the part of ``code`` around its ``line``: of code outside any function, Dask sends the whole file."""
    if len(code) <= SNIPPET_LIMIT:
        return code
    lines = code.splitlines(keepends=True)
    at = sum(map(len, lines[: max(0, line)]))
    start = max(0, min(at - SNIPPET_LIMIT // 2, len(code) - SNIPPET_LIMIT))
    return code[start : start + SNIPPET_LIMIT]


def _merge(intervals: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the union of ``intervals`` as intervals that don't touch."""
    current: tuple[float, float] | None = None
    for start, stop in sorted(interval for interval in intervals if interval[1] > interval[0]):
        if current is not None and start <= current[1]:
            current = current[0], max(current[1], stop)
            continue
        if current is not None:
            yield current
        current = start, stop
    if current is not None:
        yield current


def _activities(span: Span, offered: float) -> dict[str, float]:
    """Return thread-seconds by activity; "idle" is what was offered and not used by this span.

    Those of the span itself: Dask's public property would add its children's.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    for key, value in span._cumulative_worker_metrics.items():
        if key[0] == "execute" and key[-1] == "seconds" and 0 < value < SECONDS_LIMIT:
            name = clip(key[-2], 60)
            seconds[name if name in seconds or len(seconds) < ACTIVITIES else "(others)"] += value
    seconds["idle"] = offered - sum(seconds.values())
    return {name: round(value, 3) for name, value in seconds.items() if value >= 0.0005}
