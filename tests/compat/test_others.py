"""Programs for dask-jobqueue's other classes run whole, on stand-ins for their systems."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.providers import pretend

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
PROGRAM = """
import sys
from distributed import Client
from tradewind.compat import jobqueue

if __name__ == "__main__":
    name, keywords = sys.argv[1], eval(sys.argv[2])
    cluster = getattr(jobqueue, name)(
        cores=2, processes=2, memory="800 MiB", interface="lo", show_widget=False, **keywords
    )
    print(cluster.job_script())
    cluster.scale(jobs=2)
    client = Client(cluster)
    client.wait_for_workers(4, timeout=60)
    print("result", client.submit(sum, [40, 2]).result(), flush=True)
    client.close()
    cluster.close()
"""


@pytest.mark.parametrize(
    ("system", "name", "keywords", "line"),
    [
        (
            "pbs",
            "PBSCluster",
            {"queue": "workq", "resource_spec": "select=1:ncpus=2:mem=800mb:cpu_type=rome", "walltime": "01:00:00"},
            "#PBS -l select=1:ncpus=1:mem=400mb:cpu_type=rome",
        ),
        ("lsf", "LSFCluster", {"queue": "normal", "project": "ocean", "walltime": "01:00"}, "#BSUB -P ocean"),
        ("htcondor", "HTCondorCluster", {"disk": "1 GiB", "job_extra_directives": {"rank": "Mips"}}, "rank = Mips"),
    ],
)
def test_a_program_for_another_class_runs_after_one_import_was_changed(
    tmp_path: Path, system: str, name: str, keywords: dict[str, object], line: str
) -> None:
    commands = pretend.install(system, tmp_path / system)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environ = {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "TRADEWIND_SERVER": "solo",
        "TRADEWIND_DATA_DIR": str(tmp_path / "data"),
        "TRADEWIND_CONFIG_DIR": str(tmp_path / "conf"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }

    ran = subprocess.run(
        [sys.executable, str(program), name, repr(keywords)], env=environ, capture_output=True, text=True, timeout=120
    )

    assert ran.returncode == 0, ran.stderr
    assert "result 42\n" in ran.stdout
    assert line in ran.stdout.splitlines()
