"""A report of freedom as plain data, for ``--json`` and pages."""

from __future__ import annotations

from datetime import date
from typing import Any

from tradewind.advisor.freedom.finding import Place
from tradewind.advisor.freedom.loss import Loss, Report
from tradewind.advisor.freedom.rules import FULL
from tradewind.advisor.told import told_fact


def told_report(report: Report, today: date) -> dict[str, Any]:
    """Return everything a report says; dates as ISO 8601."""
    return {
        "of": FULL,
        "bars": [
            {
                "id": score.bar.id,
                "label": score.bar.label,
                "asks": score.bar.asks,
                "left": score.left,
                "lost": score.lost,
                "accepted": score.accepted,
            }
            for score in report.scores
        ],
        "losses": [_told_loss(loss, today) for loss in report.losses],
        "accepted": [_told_loss(loss, today) for loss in report.accepted],
        "questions": list(report.questions),
        "faults": list(report.faults),
        "unread": [{"path": one.path, "why": one.why} for one in report.unread],
        "files": report.files,
    }


def _told_loss(loss: Loss, today: date) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rule": loss.rule.id,
        "what": loss.what,
        "bars": list(loss.rule.bars),
        "points": loss.points,
        "says": loss.says,
        "fix": loss.fix,
        "places": [_told_place(place) for place in loss.places],
        "facts": [told_fact(fact, today) for fact in loss.facts],
    }
    if (accepted := loss.accepted) is not None:
        told["accepted"] = {
            "by": accepted.by,
            "date": accepted.on.isoformat(),
            "until": accepted.until.isoformat(),
            "reason": accepted.reason,
        }
    return told


def _told_place(place: Place) -> dict[str, Any]:
    told: dict[str, Any] = {"path": place.path, "line": place.line}
    if place.cell:
        told["cell"] = place.cell
    return told
