"""Money that has run out ends real processes, also when nobody is left who looks after them."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import SRC, eventually, instances_of

pytestmark = pytest.mark.timeout(120)

RUNS_ON_A_BUDGET = """
import sys, time
from tests.chaos.hasty import hurry
hurry(6)
from tradewind import Cluster
cluster = Cluster(name="victim", n_workers=1, budget=sys.argv[1], orphan_timeout="10 min", show_widget=False)
print(cluster.cluster_id, flush=True)
time.sleep(100)
"""
BUDGET = 0.4
"""What the whole machine costs in twenty seconds."""
PRICE_PER_HOUR = 72
GRACE_S = 4.0
"""A watchdog looks every second, and processes take a moment to end."""


def ledger(home: Path) -> list[tuple[float, datetime]]:
    """Read the price of an hour and the start of every usage straight from the file."""
    with sqlite3.connect(next(home.glob("*.db"))) as file:
        rows = file.execute("SELECT price_per_hour, started_at FROM usages").fetchall()
    return [(float(price), datetime.fromisoformat(start).replace(tzinfo=UTC)) for price, start in rows]


def test_a_cluster_whose_engine_was_killed_ends_when_its_money_does(caller, home: Path) -> None:
    victim = caller(
        RUNS_ON_A_BUDGET,
        f"{BUDGET} USD",
        PYTHONPATH=f"{SRC}:{SRC.parent}",
        TRADEWIND_LOCAL__PRICE_PER_HOUR=str(PRICE_PER_HOUR),
    )
    assert victim.stdout is not None
    assert victim.stdout.readline().strip(), victim.communicate()[1]
    time.sleep(2)  # so that its scheduler is told, once and again
    victim.kill()
    lines, killed_at = ledger(home), time.time()
    burn = sum(price for price, _ in lines) / 3600
    spent = sum(price * (killed_at - start.timestamp()) for price, start in lines) / 3600
    assert len(lines) == 2
    assert len(instances_of(home)) >= 2, "it had ended before anybody died"
    lasts_s = (BUDGET - spent) / burn
    assert 2 < lasts_s < 60, "the orphan time would come first, or the money was gone already"

    eventually(lambda: not instances_of(home), lasts_s + GRACE_S, "its money is gone, and so are its processes")

    assert time.time() > killed_at + 1, "it was killed with its engine, so this says nothing"
