"""A first check on commands that aren't ours: Slurm's wrappers, which take PBS's scripts and answer in its form.

They list no arrays and no marks, and take neither a script on standard input nor a log from it, so a whole provider
can't be tried on them.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.providers.slurm.conftest import ask, cancel, slurm
from tradewind.providers.batch.queue import Job, Site, Stage
from tradewind.providers.pbs.queue import PbsQueue

__all__ = ["slurm"]
pytestmark = [pytest.mark.rig, pytest.mark.timeout(180)]
PACKAGES = ("slurm-wlm-torque", "libslurm-perl", "libslurmdb-perl", "libslurm38")
"""Unpacked and not installed: they conflict with Grid Engine's, which the other rig needs."""
TORQUE = PbsQueue(torque=True)

Run = Callable[..., str]


@pytest.fixture(scope="module")
def wrappers(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tmp_path_factory.mktemp("wrappers")
    for package in PACKAGES:
        fetched = subprocess.run(["apt-get", "download", package], cwd=there, capture_output=True, check=False)
        if fetched.returncode:
            pytest.skip(f"{package} can't be had here")
    for archive in there.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(there)], check=True)
    for program in ("sbatch", "scancel"):  # the wrappers look for them beside themselves
        found = shutil.which(program)
        assert found is not None
        (there / "usr" / "bin" / program).symlink_to(found)
    return there


@pytest.fixture
def run(wrappers: Path) -> Iterator[Run]:
    libraries, jobs = wrappers / "usr" / "lib" / "x86_64-linux-gnu", []

    def command(program: str, *arguments: str) -> str:
        perl = next((libraries / "perl5").iterdir())
        environ = {**os.environ, **TORQUE.prints, "LD_LIBRARY_PATH": str(libraries), "PERL5LIB": str(perl)}
        line = ["perl", str(wrappers / "usr" / "bin" / program), *arguments]
        ran = subprocess.run(line, cwd=wrappers, env=environ, capture_output=True, text=True, check=True, timeout=30)
        said = ran.stdout
        if program == "qsub":
            jobs.append(TORQUE.read_submitted(said))
        return said

    yield command
    cancel(*jobs)


def test_a_script_is_understood_and_its_job_is_seen_to_run_and_to_end(run: Run, tmp_path: Path) -> None:
    job = Job(
        name="tw-wrapper",
        mark="tradewind:desk-1:feed0001:tw-wrapper",
        commands=(f'echo "index {TORQUE.index_in_shell}" > {tmp_path}/said', "sleep 60"),
        log=str(tmp_path / "out"),
        count=1,
        cpus=1,
        memory=300 * 1024**2,
        queue="short",
        walltime=timedelta(minutes=3),
    )
    script = tmp_path / "job.sh"
    script.write_text(TORQUE.script(job, Site(partitions=(), part="queue")))

    name = TORQUE.read_submitted(run("qsub", str(script)))

    facts = ask("scontrol", "show", "job", name)
    assert "JobName=tw-wrapper" in facts
    assert "TimeLimit=00:03:00" in facts
    assert "Partition=short" in facts
    assert stage(run, name, until=Stage.RUNNING) is Stage.RUNNING
    wait_for(tmp_path / "said", "index 0")
    run("qdel", name)
    assert stage(run, name, until=Stage.OVER) is Stage.OVER


def test_queues_are_seen_with_whether_they_take_jobs(run: Run) -> None:
    texts = [run("qstat", "-Q", "-f"), run("pbsnodes", "-a"), "", ""]

    queues = PbsQueue().read_site(texts).partitions

    assert {"main", "short"} <= {queue.name for queue in queues if queue.is_up}


def stage(run: Run, name: str, *, until: Stage) -> Stage | None:
    """Return where a job stands, after waiting for where it is to stand."""
    found = None
    for _ in range(60):
        (entry,) = [one for one in TORQUE.read_list(run("qstat", "-f")) if one.job == name]
        found = entry.stage
        if found is until:
            break
        time.sleep(0.5)
    return found


def wait_for(file: Path, words: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=20)
    while not (file.exists() and words in file.read_text()):
        assert datetime.now(UTC) < until, f"{file} never said {words!r}"
        time.sleep(0.2)
