"""A nursery whose replicas plan money by a shorter minute, so that a test sees a budget's end within seconds."""

from __future__ import annotations

import sys
from datetime import timedelta
from decimal import Decimal

from tests.chaos import nursery

PLANNED = {"AFFORDABLE": 60, "WINDING": 60, "GRACE": 60, "CALM": 120, "HANDOVER": 30}
"""Seconds of the times that people are promised in docs/concepts/budgets.md, by their names in the code."""


def hurry(minute_s: float) -> None:
    """Let a minute of planning be as long as this; rounds, leases and clocks stay as they are."""
    for name, module in list(sys.modules.items()):
        if not name.startswith("tradewind."):
            continue
        for constant, seconds in PLANNED.items():
            if hasattr(module, constant):
                setattr(module, constant, timedelta(seconds=seconds * minute_s / 60))
        if hasattr(module, "MINIMUM_S"):
            module.MINIMUM_S = Decimal(minute_s)


if __name__ == "__main__":
    hurry(float(sys.argv[1]))
    nursery.main()
