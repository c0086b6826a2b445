"""Which of a site's own options a submission takes, and which would make its jobs invisible."""

from dataclasses import replace

import pytest

from tradewind.providers.batch.queue import Queue
from tradewind.providers.htcondor.queue import HtcondorQueue
from tradewind.providers.lsf.queue import LsfQueue
from tradewind.providers.pbs.queue import PbsQueue
from tradewind.providers.sge.queue import SgeQueue
from tradewind.providers.slurm.queue import SlurmQueue

QUEUES = {queue.name: queue for queue in (SlurmQueue(), PbsQueue(), SgeQueue(), LsfQueue(), HtcondorQueue())}


def with_line(system: str, line: str) -> Queue:
    return replace(QUEUES[system], directives=("", line))  # type: ignore[type-var]  # each is a dataclass


@pytest.mark.parametrize(
    ("system", "line"),
    [
        ("Slurm", "--comment=project-x"),
        ("Slurm", "--comment project-x"),
        ("Slurm", "--comm=x"),
        ("Slurm", "--mem=0 --comment='a b'"),
        ("Slurm", "-J mine"),
        ("Slurm", "-Jmine"),
        ("Slurm", "--job-name=mine"),
        ("Slurm", "--array=0-63%5"),
        ("Slurm", "--output=/dev/null"),
        ("Slurm", "--open-mode=truncate"),
        ("Slurm", "--requeue"),
        ("Slurm", "-M other"),
        ("PBS", "-v A=1"),
        ("PBS", "-vA=1,B=2"),
        ("PBS", "-N mine"),
        ("PBS", "-J 0-3"),
        ("PBS", "-r y"),
        ("Grid Engine", "-N mine"),
        ("Grid Engine", "-t 1-4"),
        ("Grid Engine", "-o /logs"),
        ("Grid Engine", "-r y"),
        ("LSF", '-J "mine[1-4]"'),
        ("LSF", "-Jd words"),
        ("LSF", "-oo /logs/%J"),
        ("LSF", "-r"),
        ("HTCondor", "environment = A=1"),
        ("HTCondor", "Periodic_Remove = false"),
        ("HTCondor", "+TradewindMark = x"),
        ("HTCondor", 'MY.JobBatchName = "x"'),
        ("HTCondor", "queue 5"),
    ],
)
def test_a_directive_that_hides_jobs_is_refused_by_name(system: str, line: str) -> None:
    assert repr(line) in with_line(system, line).undone()


@pytest.mark.parametrize(
    ("system", "line"),
    [
        ("Slurm", "--time=20"),
        ("Slurm", "--no-requeue"),
        ("Slurm", "--account=lab"),
        ("Slurm", "--constraint=cpu --contiguous"),
        ("Slurm", "--reservation=course"),
        ("Slurm", "--mail-user=me@example.org"),
        ("Slurm", "-C cpu"),
        ("Slurm", "--open 'a quote"),
        ("PBS", "-l place=scatter"),
        ("PBS", "-V"),
        ("PBS", "-r n"),
        ("PBS", "-W group_list=lab"),
        ("Grid Engine", "-tc 5"),
        ("Grid Engine", "-l arch=lx-amd64"),
        ("Grid Engine", "-notify"),
        ("Grid Engine", "-r n"),
        ("LSF", '-gpu "num=1"'),
        ("LSF", "-rn"),
        ("LSF", "-outdir /x"),
        ("HTCondor", "getenv = true"),
        ("HTCondor", '+Flavour = "long"'),
        ("HTCondor", "queue_size = 3"),
    ],
)
def test_all_else_is_the_sites_own_affair(system: str, line: str) -> None:
    assert with_line(system, line).undone() == ""


@pytest.mark.parametrize("system", QUEUES)
def test_the_settings_alone_are_never_refused(system: str) -> None:
    assert QUEUES[system].undone() == ""
