"""What a notebook shows as the value of a cell."""

from __future__ import annotations

import pytest

from tradewind.model.usage import Cost, Receipt
from tradewind.model.views import DryRun

COST = Cost(instance_seconds=3600.0, cpu_seconds=3600.0, free_seconds=3600.0)
RECEIPT = Receipt(
    cluster_id="tw-1",
    cluster_name="ocean",
    started_at=None,
    stopped_at=None,
    total=COST,
    by_role=(),
    by_computation=(),
    not_computing=COST,
)


@pytest.mark.parametrize(
    "value", [COST, RECEIPT, DryRun(instances=(), cost_per_hour=COST, notes=())], ids=["cost", "receipt", "dry run"]
)
def test_a_cell_shows_the_words_and_not_the_fields(value: object) -> None:
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()

    shown, _ = formatter.format(value)

    assert shown["text/plain"] == str(value)
    assert "free" in shown["text/plain"]
