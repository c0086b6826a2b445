"""A short run of everything that can go wrong; the long one is ``benchmarks/chaos.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.harness import Chaos, Run
from tests.postgres import Postgres

SEED = 20


@pytest.mark.timeout(180)
async def test_under_faults_of_every_kind_nothing_leaks_and_every_second_is_billed_once(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    found = await Chaos(Run(seed=SEED, duration_s=12.0, clusters=5), postgres, postgres_url, tmp_path).go()

    assert found.faults == [], f"seed {SEED}; what the replicas said is in {tmp_path}"
    assert found.created, "users got nothing done, so this says nothing"
    assert found.struck.total() > 15
    assert found.seconds is not None
    assert found.seconds.worst_s < 1
