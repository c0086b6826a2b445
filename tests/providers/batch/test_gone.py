"""What commands that end jobs say: of those that have ended already nothing, of all else the words."""

import pytest

from tradewind.providers.batch.queue import Queue
from tradewind.providers.htcondor.queue import HtcondorQueue
from tradewind.providers.lsf.queue import LsfQueue
from tradewind.providers.pbs.queue import PbsQueue
from tradewind.providers.sge.queue import SgeQueue
from tradewind.providers.slurm.queue import SlurmQueue


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        (SlurmQueue(), "scancel: error: Kill job error on job id 12_0: Job/step already completing or completed"),
        (SlurmQueue(), "scancel: error: Kill job error on job id 12_0: Invalid job id specified"),
        (PbsQueue(), "qdel: Unknown Job Id 12[0].pbs01"),
        (PbsQueue(), "qdel: Job has finished 12.pbs01"),
        (PbsQueue(), "qdel: Request invalid for state of job 12.pbs01"),
        (PbsQueue(torque=True), "qdel: Unknown Job Id Error 12.torque"),
        (PbsQueue(torque=True), "qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 12.srv"),
        (SgeQueue(), 'denied: job "12.1" does not exist\nme has registered the job-array task 13.1 for deletion'),
        (SgeQueue(), "job-array task 12.1 is already in deletion"),
        (LsfQueue(), "Job <12[1]>: No matching job found\nJob <13[1]> is being terminated"),
        (LsfQueue(), "Job <12[1]>: Job has already finished"),
        (HtcondorQueue(), "Job 12.0 not found\nCouldn't find/remove all jobs matching constraint (ClusterId == 12)"),
        (HtcondorQueue(), "Job 12.0 marked for removal"),
        (SlurmQueue(), ""),
    ],
)
def test_of_what_has_ended_nothing_is_said_against_ending_it(queue: Queue, text: str) -> None:
    assert queue.kept(text) == ""


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        (SlurmQueue(), "scancel: error: Kill job error on job id 12_0: Access/permission denied"),
        (PbsQueue(), "qdel: Unauthorized Request 12.pbs01"),
        (SgeQueue(), 'me - you do not have the necessary privileges to delete the job "12"'),
        (LsfQueue(), "Job <12[1]>: User permission denied"),
        (HtcondorQueue(), "Permission denied to remove job 12.0"),
    ],
)
def test_what_is_refused_is_said_among_what_has_ended(queue: Queue, text: str) -> None:
    gone = "Unknown Job Id: does not exist: No matching job found: already marked for removal: Invalid job id specified"

    assert queue.kept(f"{gone}\n{text}\n{text}\n") == text
