"""Jobs of a higher priority take nodes on a real Slurm; ``squeue`` and ``sacct`` are the witnesses."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.providers.batch.rigs import SLURM, Rig
from tests.providers.slurm.conftest import ask, cancel
from tradewind import Cluster
from tradewind.cli import main

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]

SLEEP = ("--output=/dev/null", "--wrap=sleep 120")


@pytest.fixture
def cluster(stand: Callable[[Rig], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """One whose two workers run where others go first."""
    stand(SLURM)
    monkeypatch.setenv("TRADEWIND_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path / "config"))
    with Cluster(
        provider="slurm",
        n_workers=2,
        scheduler_vm_types=["main"],
        worker_vm_types=["spare"],
        backend_options={"interface": "lo"},
        wait_for_workers=True,
        show_widget=False,
    ) as made:
        yield made


def until(is_so: Callable[[], bool], within_s: float = 90) -> None:
    before = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < before, ask("squeue")
        time.sleep(0.3)


def jobs_of(partition: str, *states: str) -> set[str]:
    """Return the jobs that ``squeue`` has there in these states."""
    rows = ask("squeue", "--noheader", "--array", f"--partition={partition}", "--format=%i %T").splitlines()
    return {row.split()[0] for row in rows if row.split()[1] in states}


def left_of(cluster: Cluster) -> dict[str, Any]:
    """Return what ``cluster show`` says, and of it the workers that ended."""
    shown = json.loads(CliRunner().invoke(main, ["cluster", "show", cluster.name, "--json"]).stdout)
    return {**shown, "left": [i for i in shown["view"]["instances"] if i["role"] == "worker" and i["stopped_at"]]}


def drawn() -> int:
    """Return what is another number each time that it is computed."""
    return time.time_ns()


def test_what_has_to_make_room_hands_its_results_over_and_is_replaced_when_there_is_room(cluster: Cluster) -> None:
    with cluster.get_client() as client:
        results = [client.submit(drawn, pure=False, workers=[worker]) for worker in client.scheduler_info()["workers"]]
        before = client.gather(results)
        workers = jobs_of("spare", "RUNNING")
        assert len(workers) == 2

        other = ask("sbatch", "--parsable", "--partition=main", "--nodes=1", "--ntasks=2", "--mem-per-cpu=10", *SLEEP)
        try:
            until(lambda: len(workers & jobs_of("spare", "RUNNING")) == 1)
            until(lambda: len(jobs_of("spare", "PENDING")) == 1)
            # What was held there is on the other one: nothing is computed a second time.
            assert client.gather(results) == before
        finally:
            cancel(other.strip())
        until(lambda: len(client.scheduler_info()["workers"]) == 2)

    until(lambda: len(left_of(cluster)["left"]) == 1)
    shown = left_of(cluster)
    (left,) = shown["left"]
    assert f"The queue is about to end {left['id']}" in str(shown["journal"])
    billed = f"{left['started_at'][:19]}|{left['stopped_at'][:19]}"
    known = ("sacct", "--noheader", "-X", "--parsable2", f"--jobs={','.join(workers)}", "--format=Start,End")
    until(lambda: billed in ask(*known).splitlines())  # its accounts lag behind


def test_nobody_requeues_what_is_ordered_anew_anyway(cluster: Cluster) -> None:
    worker, *_ = jobs_of("spare", "RUNNING")

    done = subprocess.run(["scontrol", "requeue", worker], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "disabled" in done.stderr
    assert worker in jobs_of("spare", "RUNNING")
