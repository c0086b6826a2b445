"""A portrait as HTML for notebooks.

Styles stand in each tag: JupyterLab takes ``<style>`` out of notebooks that it doesn't trust. Colours of text and lines
are the theme's, so that light and dark both read well; those of states can be told apart by the colour-blind
(M. Okabe and K. Ito, https://jfly.uni-koeln.de/color/), and a word stands beside each.
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from tradewind.client.display.portrait import TOTAL, Portrait, receipt_rows, size
from tradewind.model.cluster import ClusterStatus
from tradewind.model.events import Level
from tradewind.model.instance import InstanceStatus
from tradewind.model.usage import Receipt

COLOURS = {
    InstanceStatus.REQUESTED: "#b8b8b8",
    InstanceStatus.PENDING: "#56b4e9",
    InstanceStatus.STARTING: "#e69f00",
    InstanceStatus.RUNNING: "#009e73",
    InstanceStatus.STOPPING: "#cc79a7",
    InstanceStatus.STOPPED: "#7a7a7a",
}
FAILED = "#d55e00"

TEXT = "var(--jp-ui-font-color1, inherit)"
FAINT = "var(--jp-ui-font-color2, #808080)"
LINE = "var(--jp-border-color2, #b0b0b080)"
TRACK = "var(--jp-layout-color3, #b0b0b060)"
LINK = "var(--jp-content-link-color, #1976d2)"


def html(seen: Portrait, receipt: Receipt | None = None, *, left_up: bool = False) -> str:
    """Return the whole, escaped.

    Parameters
    ----------
    seen : Portrait
        What to show.
    receipt : Receipt, optional
        Shown below, once it has ended.
    left_up : bool
        Whether it goes on without whoever shows it, so that this is the last that is seen of it here.
    """
    ended = seen.status is ClusterStatus.STOPPED
    parts = [
        _head(seen),
        "" if ended else _bar(seen),
        "" if ended else _figures(seen),
        "" if ended or seen.budget is None else _budget(seen),
        "".join(_warning(text) for text in seen.warnings),
        _warning("This program let go of it, and it stays up: what is shown is how it was then.") if left_up else "",
        _receipt(receipt) if receipt is not None else "",
        _links(seen),
        _journal(seen),
    ]
    return _framed(_colour(seen), "".join(parts))


def opening(name: str, where: str, state: str) -> str:
    """Return what is shown before there is anything to see."""
    head = f'<b>{escape(name)}</b> <span style="color:{FAINT}">{escape(where)}</span><div>{escape(state)}</div>'
    return _framed(COLOURS[InstanceStatus.REQUESTED], head)


def _framed(colour: str, inside: str) -> str:
    return (
        f'<div style="box-sizing:border-box;max-width:44em;padding:10px 14px;margin:2px 0;border:1px solid {LINE};'
        f"border-left:4px solid {colour};border-radius:4px;color:{TEXT};"
        f'font-family:var(--jp-ui-font-family, sans-serif);font-size:13px;line-height:1.5">{inside}</div>'
    )


def _colour(seen: Portrait) -> str:
    if seen.failed:
        return FAILED
    return COLOURS[InstanceStatus(seen.status.value)]  # a cluster's statuses are an instance's, but for "requested"


def _head(seen: Portrait) -> str:
    ended = seen.status.rank >= ClusterStatus.STOPPING.rank
    why = f": {escape(seen.headline)}" if seen.headline else ""
    state = f'<span style="color:{FAILED};font-weight:600">{seen.status}</span>' if seen.failed else f"{seen.status}"
    age = f"lived {seen.age}" if ended else f"up {seen.age}"
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:0 10px;align-items:baseline">'
        f'<span style="font-size:15px;font-weight:600">{escape(seen.name)}</span>'
        f'<span style="color:{FAINT}">{escape(seen.where)}</span>'
        f'<span style="margin-left:auto;color:{FAINT};font-variant-numeric:tabular-nums">{age}</span></div>'
        f"<div>{state}{why}</div>"
    )


def _bar(seen: Portrait) -> str:
    live = [(status, n) for status, n in seen.workers if status.is_live]
    segments = "".join(
        f'<span title="{n} {status}" style="flex:{n} 0 3px;background:{COLOURS[status]}"></span>' for status, n in live
    )
    named = "".join(_named(status, f"{n} {status}") for status, n in seen.workers)
    scheduler = _named(seen.scheduler, f"scheduler {seen.scheduler}") if seen.scheduler is not None else ""
    return (
        f'<div role="img" aria-label="workers: {escape(_spoken(seen))}" style="display:flex;gap:2px;height:9px;'
        f'margin:8px 0 4px;border-radius:4px;overflow:hidden;background:{TRACK}">{segments}</div>'
        '<div style="display:flex;flex-wrap:wrap;gap:0 14px">'
        f"<span>Workers ({escape(seen.wanted)} wanted):</span>{named or '<span>none yet</span>'}"
        f'<span style="margin-left:auto;color:{FAINT}">{scheduler}</span></div>'
    )


def _named(status: InstanceStatus, words: str) -> str:
    square = (
        f'<span style="display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:5px;'
        f'background:{COLOURS[status]}"></span>'
    )
    return f"<span>{square}{words}</span>"


def _spoken(seen: Portrait) -> str:
    return ", ".join(f"{n} {status}" for status, n in seen.workers) or "none yet"


def _figures(seen: Portrait) -> str:
    memory = size(seen.memory) if seen.memory else "–"
    if seen.memory_used is not None and seen.memory:
        memory = f"{size(seen.memory_used)} of {memory}"
    figures = [
        ("Cost so far", escape(seen.cost)),
        ("Price", escape(seen.price)),
        ("Threads", f"{seen.threads or '–'}"),
        ("Memory", memory),
        ("Tasks to do", "–" if seen.tasks is None else f"{seen.tasks:,}"),
    ]
    cells = "".join(
        f'<div><div style="color:{FAINT};font-size:11px">{title}</div>'
        f'<div style="font-weight:600;font-variant-numeric:tabular-nums">{value}</div></div>'
        for title, value in figures
    )
    # Fixed columns: figures that change each second must not push their neighbours about.
    columns = "grid-template-columns:minmax(7em,3fr) minmax(6em,2.5fr) 1.5fr minmax(9.5em,4fr) 2fr"
    return f'<div style="display:grid;{columns};gap:4px 12px;margin-top:8px">{cells}</div>'


def _budget(seen: Portrait) -> str:
    assert seen.budget is not None
    left = max(0, 100 - seen.budget.percent)
    colour = FAILED if left <= 20 else COLOURS[InstanceStatus.RUNNING]
    return (
        '<div style="display:flex;gap:10px;align-items:center;margin-top:8px">'
        f'<span style="white-space:nowrap">Budget: <b>{escape(str(seen.budget.left))}</b> of '
        f"{escape(str(seen.budget.limit))} left</span>"
        f'<span style="flex:1;height:6px;border-radius:3px;overflow:hidden;background:{TRACK}">'
        f'<span style="display:block;height:6px;width:{left}%;background:{colour}"></span></span></div>'
    )


def _warning(text: str) -> str:
    return (
        f'<div style="margin-top:8px;padding:3px 8px;border-left:3px solid {COLOURS[InstanceStatus.STARTING]};'
        f'background:#e69f0022"><b>⚠</b> {escape(text)}</div>'
    )


def _receipt(receipt: Receipt) -> str:
    if not receipt.total.money:
        return f'<div style="margin-top:8px">Cost: <b>{escape(str(receipt.total))}</b></div>'
    cells = "".join(
        f'<div style="display:flex;justify-content:space-between;border-top:1px solid {LINE};padding:1px 0'
        f'{";font-weight:600" if what == TOTAL else ""}">'
        f"<span>{escape(what[:1].upper() + what[1:])}</span>"
        f'<span style="font-variant-numeric:tabular-nums">{escape(cost)}</span></div>'
        for what, cost in receipt_rows(receipt)
    )
    return f'<div style="margin-top:8px;max-width:26em">{cells}</div>'


def _links(seen: Portrait) -> str:
    parts = []
    if seen.dashboard and urlsplit(seen.dashboard).scheme in {"http", "https"}:
        address = escape(seen.dashboard)
        parts.append(
            f'<a href="{address}" target="_blank" rel="noopener" style="color:{LINK}">Dashboard</a> '
            f'<span style="color:{FAINT}">{address}</span>'
        )
    parts.append(f'<span style="color:{FAINT}">Logs: <code>cluster.get_logs()</code></span>')
    return f'<div style="display:flex;flex-wrap:wrap;gap:0 20px;margin-top:8px">{"".join(map(_spanned, parts))}</div>'


def _spanned(part: str) -> str:
    return f"<span>{part}</span>"


def _journal(seen: Portrait) -> str:
    lines = "".join(
        f'<div style="white-space:nowrap;overflow:hidden;text-overflow:ellipsis" title="{escape(event.message)}">'
        f'<span style="font-variant-numeric:tabular-nums">{event.at.astimezone():%H:%M:%S}</span> '
        f"{'' if event.level is Level.INFO else '<b>⚠</b> '}{escape(event.message)}</div>"
        for event in seen.journal
    )
    return f'<div style="margin-top:6px;color:{FAINT};font-size:12px">{lines}</div>' if lines else ""
