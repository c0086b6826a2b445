"""Charts as SVG that stands in the page: no script, no colour that a theme can't change, a word beside each colour.

Pure: values in, text out. What a person named is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from markupsafe import Markup, escape

from tradewind.model.instance import Instance, InstanceEnd, Role

WIDTH, HEIGHT = 720, 150
"""Units of the drawing; the page scales it."""
LEFT, BOTTOM = 64, 22
ROW, GAP = 12, 3
MOST_ROWS = 60
"""Instances that are drawn one by one; a thousand bars tell nobody anything."""

FAULTS = frozenset({InstanceEnd.DIED, InstanceEnd.VANISHED, InstanceEnd.REJECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day, or whatever else stands side by side."""

    label: str
    amount: Decimal
    text: str
    """The amount for a person, shown on touch and read aloud."""


def columns(bars: Sequence[Bar], *, title: str, unit: str) -> Markup:
    """Return bars side by side, on one scale that begins at 0; empty where there is nothing to draw."""
    most = max((bar.amount for bar in bars), default=Decimal(0))
    if most <= 0:
        return Markup("")
    step = Decimal(WIDTH - LEFT) / len(bars)
    room = Decimal(HEIGHT - BOTTOM - 12)
    drawn = [
        f'<text class="axis" x="{LEFT - 6}" y="18" text-anchor="end">{escape(_short(most))}</text>'
        f'<text class="axis" x="{LEFT - 6}" y="{HEIGHT - BOTTOM}" text-anchor="end">0</text>'
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="12" y2="12"/>'
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>'
    ]
    every = max(1, -(-len(bars) // 8))  # eight labels fit beside each other
    for number, bar in enumerate(bars):
        height = room * bar.amount / most
        x = LEFT + step * number
        drawn.append(
            f'<rect class="spent" x="{x + step / 10:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" '
            f'width="{step * 8 / 10:.1f}" height="{height:.1f}" rx="1.5">'
            f"<title>{escape(bar.label)}: {escape(bar.text)}</title></rect>"
        )
        if number % every == 0:
            label = f'x="{x + step / 2:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(bar.label)}'
            drawn.append(f'<text class="axis" {label}</text>')
    return _svg(drawn, HEIGHT, f"{title}, in {unit}")


def lives(instances: Sequence[Instance], now: datetime) -> Markup:
    """Return when each instance waited, started and ran, from the first request until ``now`` or the last end."""
    shown = sorted(instances, key=lambda i: (i.role is not Role.SCHEDULER, i.requested_at, i.id))[:MOST_ROWS]
    if not shown:
        return Markup("")
    begin = min(i.requested_at for i in shown)
    end = max(i.stopped_at or now for i in shown)
    span = max((end - begin) / timedelta(seconds=1), 1.0)

    def x(moment: datetime) -> float:
        return LEFT + (WIDTH - LEFT) * ((moment - begin) / timedelta(seconds=1)) / span

    height = len(shown) * (ROW + GAP) + BOTTOM
    drawn = []
    for number, instance in enumerate(shown):
        y = number * (ROW + GAP)
        word = "scheduler" if instance.role is Role.SCHEDULER else "worker"
        drawn.append(f'<text class="axis" x="{LEFT - 6}" y="{y + ROW - 2}" text-anchor="end">{word}</text>')
        last = instance.stopped_at or now
        phases = (
            ("waited", instance.requested_at, instance.started_at or last),
            ("started", instance.started_at, instance.running_at or last),
            ("ran", instance.running_at, last),
        )
        for name, since, until in phases:
            if since is None or until <= since:
                continue
            seconds = (until - since) / timedelta(seconds=1)
            drawn.append(
                f'<rect class="{name}" x="{x(since):.1f}" y="{y}" width="{max(0.8, x(until) - x(since)):.1f}" '
                f'height="{ROW}"><title>{escape(instance.id)} {name} {seconds:.0f} s</title></rect>'
            )
        if instance.end in FAULTS:
            words = escape(f"{instance.id} {instance.end.value}: {instance.detail}")
            drawn.append(
                f'<circle class="failed" cx="{x(last):.1f}" cy="{y + ROW / 2}" r="4"><title>{words}</title></circle>'
            )
    drawn.append(
        f'<text class="axis" x="{LEFT}" y="{height - 6}">{begin:%H:%M:%S}</text>'
        f'<text class="axis" x="{WIDTH}" y="{height - 6}" text-anchor="end">{end:%H:%M:%S} UTC</text>'
    )
    return _svg(drawn, height, "When each instance waited, started and ran")


def gauge(spent: Decimal, reserved: Decimal, limit: Decimal, *, title: str) -> Markup:
    """Return how much of a limit is spent, and how much is promised besides."""
    whole = max(limit, spent + reserved)
    if whole <= 0:
        return Markup("")
    used, promised = (float(part / whole) * WIDTH for part in (spent, reserved))
    mark = float(limit / whole) * WIDTH
    tight = "over" if spent * 100 >= limit * 80 else "spent"
    drawn = [
        f'<rect class="track" x="0" y="2" width="{WIDTH}" height="16" rx="4"/>',
        f'<rect class="{tight}" x="0" y="2" width="{used:.1f}" height="16" rx="4"/>',
        f'<rect class="promised" x="{used:.1f}" y="2" width="{promised:.1f}" height="16"/>',
        f'<line class="limit" x1="{mark:.1f}" x2="{mark:.1f}" y1="0" y2="20"/>',
    ]
    return _svg(drawn, 20, title)


def _svg(drawn: Sequence[str], height: int, title: str) -> Markup:
    name = escape(title)
    inside = "".join(drawn)
    return Markup(  # noqa: S704 - every word of others in it went through escape()
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">{inside}</svg>'
    )


def _short(amount: Decimal) -> str:
    return f"{amount:.0f}" if amount >= 100 else f"{amount:.3g}"
