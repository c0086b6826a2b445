"""A short run of everything that can go wrong; the long one is ``benchmarks/chaos.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.harness import Chaos
from tests.chaos.run import Run
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


@pytest.mark.timeout(180)
async def test_limits_that_are_used_up_while_servers_die_are_kept(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    run = Run(seed=SEED, duration_s=25.0, clusters=8, workers=2, keeps_s=8.0, has_limits=True, minute_s=3.0)
    found = await Chaos(run, postgres, postgres_url, tmp_path).go()

    assert found.faults == [], f"seed {SEED}; what the replicas said is in {tmp_path}"
    assert sum(stage.refused + stage.stopped for stage in found.stages) > 3
    assert max(stage.share for stage in found.stages if stage.has_bitten) > 0.5


@pytest.mark.timeout(180)
async def test_servers_that_are_killed_leave_no_process_of_this_machine_behind(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    kinds = ("kill", "die_at_step", "die_at_turn", "cut_line")
    run = Run(
        seed=SEED, duration_s=10.0, provider="local", clusters=2, workers=1, replicas=2, pause_s=2.0, faults=kinds
    )
    found = await Chaos(run, postgres, postgres_url, tmp_path).go()

    assert found.faults == [], f"seed {SEED}; what the replicas said is in {tmp_path}"
    assert found.created, "users got nothing done, so this says nothing"
    assert found.struck.total() >= 2
