"""Tasks that failed, caught as they fail: the only thing that Dask forgets before anybody could look."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed.metrics import time as scheduler_time

from tradewind.agent.scrub import scrub

if TYPE_CHECKING:
    from distributed import Scheduler

ERRORS_PER_SPAN = 50
TEXT_LIMIT = 4000
"""Characters of an exception or of a traceback that are kept."""
KEY_LIMIT = 200


def clip(text: object, limit: int) -> str:
    """Return ``text`` as text of at most ``limit`` characters, its middle left out where it's longer.

    Half characters (surrogates, as odd file names bring them) become "?": they'd make the whole page unreadable.
    """
    whole = str(text)
    if len(whole) > limit:
        half = (limit - 5) // 2
        whole = f"{whole[:half]}\n…\n{whole[-half:]}"
    return whole if whole.isascii() else whole.encode("utf-8", "replace").decode()


def clip_and_scrub(text: object, limit: int) -> str:
    """Return ``text`` without secrets, clipped. It's cut roughly first: a huge text must not hold the scheduler up."""
    return clip(scrub(clip(text, 3 * limit)), limit)


def whole_number(value: float) -> int:
    """Return ``value`` as an int from 0 to 2**53: sizes come from code of users, who may say anything."""
    return int(min(max(0, value), 2**53))


@dataclass(slots=True)
class SpanFailures:
    """What failed in one span."""

    by_prefix: Counter[str] = field(default_factory=Counter)
    """All that ended erred: those that raised, and those that could not run for want of them."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    """Those that raised, the first ones, as JSON-ready data."""
    last_at: float = 0.0


class Failures:
    """Keeps what failed, by span id.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whose tasks they are.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.by_span: defaultdict[str, SpanFailures] = defaultdict(SpanFailures)

    def record(self, key: object, worker: object) -> None:
        """Write down that the task ``key`` has just become erred. Reads text alone; nothing is unpickled."""
        task = self._scheduler.tasks.get(key)
        if task is None or task.group.span_id is None:
            return
        failures = self.by_span[task.group.span_id]
        prefix = clip(task.prefix.name, KEY_LIMIT)
        failures.by_prefix[prefix] += 1
        failures.last_at = scheduler_time()
        if task.exception_blame is not task or len(failures.errors) >= ERRORS_PER_SPAN:
            return
        state = self._scheduler.workers.get(worker)
        failures.errors.append(
            {
                "at": failures.last_at,
                "key": clip(key, KEY_LIMIT),
                "prefix": prefix,
                "exception": clip_and_scrub(task.exception_text or "", TEXT_LIMIT),
                "traceback": clip_and_scrub(task.traceback_text or "", TEXT_LIMIT),
                "worker": None if state is None else clip(state.name, KEY_LIMIT),
            }
        )

    def forget(self, span_id: str) -> None:
        """Drop what failed in this span."""
        self.by_span.pop(span_id, None)
