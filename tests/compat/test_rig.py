"""A program written for dask-jobqueue runs on a real Slurm, with one import changed and its ``jobqueue.yaml``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.providers.slurm.conftest import ask, slurm

__all__ = ["slurm"]
pytestmark = [pytest.mark.rig, pytest.mark.timeout(180)]
CONFIGURED = """
jobqueue:
  slurm:
    cores: 2
    processes: 2
    memory: 800MiB
    queue: main
    walltime: '00:20:00'
    interface: lo
    death-timeout: 120
    job-script-prologue: ['export PROLOGUE=seen']
"""
PROGRAM = """
import os
from distributed import Client
from tradewind.compat.jobqueue import SLURMCluster

def there(name):
    return os.environ.get(name)

if __name__ == "__main__":
    planned = SLURMCluster.plan(n_workers=4)
    lines = [(line.count, line.offer.vm_type, line.offer.resources.cpus) for line in planned.instances]
    print("planned", lines, flush=True)
    cluster = SLURMCluster(job_extra_directives=["--nice=7"], show_widget=False)
    cluster.scale(jobs=1)
    client = Client(cluster)
    client.wait_for_workers(2, timeout=90)
    print("result", client.submit(sum, [40, 2]).result(), flush=True)
    print("prologue", client.submit(there, "PROLOGUE").result(), flush=True)
    print("threads", sorted(client.nthreads().values()), flush=True)
    print("job", client.submit(there, "SLURM_JOB_ID").result(), flush=True)
    print(cluster.job_script(), flush=True)
    print("bounds", cluster.adapt(minimum_jobs=1, maximum_jobs=3), flush=True)
    client.close()
    cluster.close()
"""


def test_a_program_for_dask_jobqueue_runs_after_one_import_was_changed(slurm: None, tmp_path: Path) -> None:
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask" / "jobqueue.yaml").write_text(CONFIGURED)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environ = {
        **os.environ,
        "DASK_CONFIG": str(tmp_path / "dask"),
        "TRADEWIND_SERVER": "solo",
        "TRADEWIND_DATA_DIR": str(tmp_path / "data"),
        "TRADEWIND_CONFIG_DIR": str(tmp_path / "conf"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }

    ran = subprocess.run(
        [sys.executable, str(program)], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=150
    )

    assert ran.returncode == 0, ran.stderr
    said = ran.stdout
    assert "result 42\n" in said
    assert "(4, 'main', 1)]\n" in said, "a plan takes the same keywords"
    assert "prologue seen\n" in said
    assert "threads [1, 1]\n" in said, "a job of two cores and two processes is two workers of one"
    assert "minimum=2" in said, "as are the bounds"
    assert "maximum=6" in said
    assert "#SBATCH --partition=main\n" in said
    assert "#SBATCH --time=0-00:20:00\n" in said
    assert "death_timeout" in ran.stderr, "what means nothing here is said"
    job = next(line.split()[1] for line in said.splitlines() if line.startswith("job "))
    assert "TimeLimit=00:20:00" in ask("scontrol", "show", "job", job)
    assert "Nice=7" in ask("scontrol", "show", "job", job)
