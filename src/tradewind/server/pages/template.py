"""The templates of pages, filled in: without a server, so that a page can be shown where none runs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tradewind.model.computation import Computation
from tradewind.model.resources import GIB

_templates = Environment(
    loader=PackageLoader("tradewind.server.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["day"] = lambda moment: "never" if moment is None else f"{moment:%Y-%m-%d}"
_templates.filters["minute"] = lambda moment: "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"
_templates.filters["gib"] = lambda size: f"{size / GIB:.0f} GiB"
_templates.filters["took"] = lambda computation, now: _took(computation, now)
_templates.filters["a"] = lambda word: f"{'an' if str(word)[0] in 'aeiou' else 'a'} {word}"
_templates.filters["ago"] = lambda day, today: _ago(day, today)
_templates.filters["sentence"] = lambda words: f"{str(words)[:1].upper()}{str(words)[1:]}"


# Whether a page is shown by one person's own machine: nothing is signed in to there.
_templates.globals["is_alone"] = False


def render(template: str, **values: Any) -> str:
    """Return a template with ``values`` in it, all of them escaped."""
    return _templates.get_template(template).render(**values)


def _took(computation: Computation, now: datetime) -> str:
    if computation.started_at is None:
        return ""
    seconds = ((computation.stopped_at or now) - computation.started_at).total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _ago(day: date, today: date) -> str:
    """Return an age in the largest unit that says enough."""
    days = (today - day).days
    if days <= 0:
        return "today"
    for size, word in ((730, "year"), (60, "month"), (1, "day")):
        if days >= size:
            number = days // {"year": 365, "month": 30, "day": 1}[word]
            return f"{number} {word}{'s' if number > 1 else ''} ago"
    return "today"
