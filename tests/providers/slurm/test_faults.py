"""What goes wrong around a cluster on a real Slurm; ``squeue`` is the witness."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tradewind.model.instance import InstanceStatus, ObservedInstance, Role
from tradewind.model.resources import Resources
from tradewind.providers.base import Order, ProviderSettings
from tradewind.providers.batch.letters import name_of
from tradewind.providers.slurm import SlurmProvider
from tradewind.testing.provider_tests import launch

from . import test_contract as contract
from .conftest import ask, cancel

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]
MINE = "installation-of-the-faults"
SMALL = Resources(cpus=1, memory=256 * 1024**2)
PROGRAM = """
import sys, time
from tradewind import Cluster
if __name__ == "__main__":
    small = {"worker_cpu": 1, "worker_memory": "400 MiB"}
    cluster = Cluster(provider="slurm", n_workers=9, name=sys.argv[1], **small)
    with cluster.get_client() as client:
        print("result", client.submit(sum, [40, 2]).result(), flush=True)
        while True:
            time.sleep(0.5)
            workers = len(client.scheduler_info(n_workers=-1)["workers"])
            print("workers", workers, flush=True)
"""


@pytest_asyncio.fixture
async def provider(slurm: None, tmp_path: Path) -> AsyncIterator[SlurmProvider]:
    options = {"interface": "lo"}
    provider = SlurmProvider.from_settings(
        ProviderSettings(installation=MINE, state_directory=str(tmp_path), options=options)
    )
    yield provider
    cancel(*(line.split("|")[0] for line in jobs(MINE)))
    await provider.aclose()


def jobs(word: str) -> list[str]:
    """Return the live jobs whose comment holds ``word``."""
    lines = ask("squeue", "--noheader", "--array", "--format=%i|%T|%j|%k").splitlines()
    return [line for line in lines if word in line]


async def orders(provider: SlurmProvider, count: int, *, role: Role = Role.WORKER) -> list[Order]:
    made = [
        await contract.TestSlurm().order(provider, role, installation=MINE, cluster="calm-tide") for _ in range(count)
    ]
    return [replace(order, offer=replace(made[0].offer, resources=SMALL)) for order in made]


async def seen(provider: SlurmProvider, order: Order) -> ObservedInstance:
    return next(one for one in await provider.observe() if one.marks == order.marks)


async def eventually(check: Callable[[], bool], within_s: float) -> None:
    until = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until, f"not within {within_s:.0f} s"
        await asyncio.sleep(0.3)


async def test_64_workers_are_one_submission(provider: SlurmProvider) -> None:
    many = await orders(provider, 64)

    handles = await asyncio.gather(*(launch(provider, order) for order in many))

    assert len({handle.handle for handle in handles}) == 64
    assert len({line.split("_")[0] for line in jobs(MINE)}) == 1
    found = [one for one in await provider.observe() if one.status.is_live]
    assert {one.marks.order for one in found} == {order.marks.order for order in many}
    began = time.monotonic()
    await provider.terminate([handle.handle for handle in handles])
    assert time.monotonic() - began < 5


async def test_who_is_cancelled_from_outside_has_ended_at_the_next_look(provider: SlurmProvider) -> None:
    (order,) = await orders(provider, 1, role=Role.SCHEDULER)
    handle = await launch(provider, order)

    cancel(handle.handle.partition("/")[0])
    await eventually(lambda: not jobs(MINE), 20)

    after = await seen(provider, order)
    assert after.status is InstanceStatus.STOPPED
    assert not after.refused
    assert "was cancelled" in after.detail or "was asked to end" in after.detail


async def test_one_of_several_that_is_cancelled_while_it_waits_has_ended_at_the_next_look(
    provider: SlurmProvider,
) -> None:
    waits = ("--begin=now+1hour", "--deadline=now+100hours")
    provider._submitter._queue = replace(provider._submitter._queue, directives=waits)
    first, second = await orders(provider, 2)
    handle, _ = await asyncio.gather(launch(provider, first), launch(provider, second))

    cancel(handle.handle.partition("/")[0])

    assert (await seen(provider, first)).status is InstanceStatus.STOPPED
    assert (await seen(provider, first)).detail == "was cancelled while it waited"
    assert (await seen(provider, second)).status is InstanceStatus.PENDING


async def test_what_can_never_start_is_refused_with_slurms_reason_and_leaves_the_queue(
    provider: SlurmProvider,
) -> None:
    provider._submitter._queue = replace(provider._submitter._queue, directives=("--partition=short", "--time=20"))
    (order,) = await orders(provider, 1)
    await launch(provider, order)

    refused: list[ObservedInstance] = []
    for _ in range(30):
        one = await seen(provider, order)
        if one.refused:
            refused.append(one)
            break
        await asyncio.sleep(0.3)

    assert refused
    # Slurm says the one first and the other after its next look.
    assert "(Slurm: PartitionConfig)" in refused[0].detail or "(Slurm: PartitionTimeLimit)" in refused[0].detail
    await eventually(lambda: not jobs(MINE), 10)
    assert (await seen(provider, order)).refused, "and it stays so when Slurm says that it was cancelled"


async def test_a_submission_that_was_made_and_not_written_down_is_found_by_its_mark(provider: SlurmProvider) -> None:
    (order,) = await orders(provider, 1)
    first = await launch(provider, order)
    (record,) = (provider._books.batches).glob("*/batch.json")
    record.write_text(record.read_text().replace(f'"{first.handle.partition("_")[0]}"', "null"))

    again = await launch(provider, order)

    assert again.handle == first.handle
    assert len(jobs(MINE)) == 1


async def test_a_submission_that_was_written_down_and_never_made_is_made(provider: SlurmProvider) -> None:
    (order,) = await orders(provider, 1)
    first = await launch(provider, order)
    cancel(first.handle.partition("/")[0])
    (record,) = (provider._books.batches).glob("*/batch.json")
    text = record.read_text().replace(f'"{first.handle.partition("_")[0]}"', "null")
    renamed = record.parent.rename(record.parent.with_name("feedfacefeedface"))
    (renamed / "batch.json").write_text(text)
    place = provider._books.orders / order.marks.order
    place.write_text(place.read_text().replace(record.parent.name, renamed.name))

    again = await launch(provider, order)

    assert again.handle != first.handle


@pytest.fixture
def caller(slurm: None, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a program with a cluster of nine workers, for which there is no room at once."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environ = {
        **os.environ,
        "TRADEWIND_SERVER": "solo",
        "TRADEWIND_DATA_DIR": str(tmp_path / "data"),
        "TRADEWIND_CONFIG_DIR": str(tmp_path / "conf"),
        "TRADEWIND_SLURM__INTERFACE": "lo",
        "TRADEWIND_WAIT_FOR_WORKERS": "0.3",
        "TRADEWIND_ORPHAN_TIMEOUT": "15",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, str(program), f"fault-{time.time_ns()}"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    for line in jobs("tradewind:"):
        if line.split("|")[2] in own_names(tmp_path):
            cancel(line.split("|")[0])


def own_names(directory: Path) -> set[str]:
    """Return the names of the jobs of a caller's clusters."""
    found = set()
    for record in directory.glob("data/slurm/batches/*/batch.json"):
        found |= {name_of(marks["cluster"]) for marks in json.loads(record.read_text())["marks"]}
    return found


def live(directory: Path) -> list[str]:
    return [line for line in jobs("tradewind:") if line.split("|")[2] in own_names(directory)]


@pytest.mark.parametrize("after", ["its first job is queued", "it has computed"])
async def test_nothing_is_left_in_the_queue_when_the_caller_is_killed(
    caller: "subprocess.Popen[str]", tmp_path: Path, after: str
) -> None:
    if after == "it has computed":
        assert caller.stdout is not None
        while not caller.stdout.readline().startswith("result"):
            assert caller.poll() is None
    else:
        await eventually(lambda: bool(live(tmp_path)), 30)

    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()

    assert live(tmp_path)
    # The orphan timeout, Slurm's looks every 30 s at what may no longer start, and its own grace.
    await eventually(lambda: not live(tmp_path), 15 + 60 + 15)


@pytest.fixture
def full(slurm: None) -> Iterator[None]:
    """Have every core taken by somebody else."""
    job = ask("sbatch", "--parsable", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=srun sleep 600").strip()
    while "RUNNING" not in ask("squeue", "--noheader", "--format=%T", f"--jobs={job}"):
        time.sleep(0.2)
    yield
    cancel(job)


async def test_what_only_waits_leaves_the_queue_too_when_the_caller_is_killed(
    full: None, caller: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    await eventually(lambda: len(live(tmp_path)) == 10, 30)
    await asyncio.sleep(25)  # longer than the orphan timeout: somebody looks after it, so it stays
    assert len(live(tmp_path)) == 10
    assert all("|PENDING|" in line for line in live(tmp_path))

    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()

    await eventually(lambda: not live(tmp_path), 15 + 90)


async def test_a_worker_that_is_cancelled_from_outside_is_replaced(
    caller: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    assert caller.stdout is not None
    while not caller.stdout.readline().startswith("workers 5"):
        assert caller.poll() is None
    running = [line.split("|")[0] for line in live(tmp_path) if "|RUNNING|" in line]
    before = {line.split("|")[0] for line in live(tmp_path)}

    last = max(running, key=lambda job: [int(part) for part in job.split("_")])
    cancel(last)

    await eventually(lambda: bool({line.split("|")[0] for line in live(tmp_path)} - before), 20)
