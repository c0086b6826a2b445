"""What goes wrong around a cluster on a real batch system; the system's own list is the witness."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from tests.providers.batch.contract import BatchContract
from tests.providers.batch.rigs import EVERY, SGE, SLURM, Live, Rig
from tradewind.model.instance import InstanceStatus, ObservedInstance, Role
from tradewind.model.resources import Resources
from tradewind.providers.base import Order, ProviderSettings
from tradewind.providers.batch.letters import name_of
from tradewind.providers.batch.provider import BatchProvider
from tradewind.testing.provider_tests import launch

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]
MINE = "installation-of-the-faults"
SMALL = Resources(cpus=1, memory=256 * 1024**2)
PROGRAM = """
import sys, time
from tradewind import Cluster
if __name__ == "__main__":
    small = {"worker_cpu": 1, "worker_memory": "400 MiB"}
    cluster = Cluster(provider=sys.argv[2], n_workers=9, name=sys.argv[1], **small)
    with cluster.get_client() as client:
        print("result", client.submit(sum, [40, 2]).result(), flush=True)
        while True:
            time.sleep(0.5)
            workers = len(client.scheduler_info(n_workers=-1)["workers"])
            print("workers", workers, flush=True)
"""


@pytest.fixture(params=EVERY, ids=[rig.name for rig in EVERY])
def rig(request: pytest.FixtureRequest, stand: Callable[[Rig], None], monkeypatch: pytest.MonkeyPatch) -> Rig:
    found: Rig = request.param
    stand(found)
    for name, value in found.environ.items():
        monkeypatch.setenv(name, value)
    return found


@pytest_asyncio.fixture
async def provider(rig: Rig, tmp_path: Path) -> AsyncIterator[BatchProvider]:
    options = {"interface": "lo"}
    provider = rig.provider.from_settings(
        ProviderSettings(installation=MINE, state_directory=str(tmp_path), options=options)
    )
    yield provider
    rig.cancel(*(one.id for one in rig.of(MINE)))
    await provider.aclose()


async def orders(provider: BatchProvider, count: int, *, role: Role = Role.WORKER) -> list[Order]:
    made = [await BatchContract().order(provider, role, installation=MINE, cluster="calm-tide") for _ in range(count)]
    return [replace(order, offer=replace(made[0].offer, resources=SMALL)) for order in made]


def ask_besides(provider: BatchProvider, options: Sequence[str]) -> None:
    """Give each submission further options."""
    queue = cast("Any", provider._counter._submitter._queue)
    provider._counter._submitter._queue = replace(queue, directives=tuple(options))


async def seen(provider: BatchProvider, order: Order) -> ObservedInstance:
    return next(one for one in await provider.observe() if one.marks == order.marks)


async def eventually(check: Callable[[], bool], within_s: float) -> None:
    until = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < until, f"not within {within_s:.0f} s"
        await asyncio.sleep(0.3)


def at(rig: Rig, handle: str) -> str:
    """Return the job of a handle, as the system's own commands take it."""
    submission, _, index = handle.partition("/")[0].rpartition("_")
    return next(one.id for one in rig.of(MINE) if (one.submission, one.index) == (submission, int(index)))


async def test_64_workers_are_one_submission(rig: Rig, provider: BatchProvider) -> None:
    many = await orders(provider, 64)

    handles = await asyncio.gather(*(launch(provider, order) for order in many))

    assert len({handle.handle for handle in handles}) == 64
    assert len({one.submission for one in rig.of(MINE)}) == 1
    found = [one for one in await provider.observe() if one.status.is_live]
    assert {one.marks.order for one in found} == {order.marks.order for order in many}
    began = time.monotonic()
    await provider.terminate([handle.handle for handle in handles])
    assert time.monotonic() - began < 5
    await eventually(lambda: not rig.of(MINE), 40)


async def test_who_is_cancelled_from_outside_has_ended_at_the_next_look(rig: Rig, provider: BatchProvider) -> None:
    (order,) = await orders(provider, 1, role=Role.SCHEDULER)
    handle = await launch(provider, order)
    await eventually(lambda: not any(one.waits for one in rig.of(MINE)), 20)

    rig.cancel(at(rig, handle.handle))
    await eventually(lambda: not rig.of(MINE), 20)

    after = await seen(provider, order)
    assert after.status is InstanceStatus.STOPPED
    assert not after.refused
    assert "was cancelled" in after.detail or "was asked to end" in after.detail


async def test_one_of_several_that_is_cancelled_while_it_waits_has_ended_at_the_next_look(
    rig: Rig, provider: BatchProvider
) -> None:
    ask_besides(provider, rig.later)
    first, second = await orders(provider, 2)
    handle, _ = await asyncio.gather(launch(provider, first), launch(provider, second))

    rig.cancel(at(rig, handle.handle))

    assert (await seen(provider, first)).status is InstanceStatus.STOPPED
    assert (await seen(provider, first)).detail == "was cancelled while it waited"
    assert (await seen(provider, second)).status is InstanceStatus.PENDING


async def test_what_can_never_start_is_refused_with_the_systems_reason_and_leaves_the_queue(
    rig: Rig, provider: BatchProvider
) -> None:
    options, words = rig.impossible
    ask_besides(provider, options)
    (order,) = await orders(provider, 1)
    await launch(provider, order)

    refused: list[ObservedInstance] = []
    for _ in range(60):
        one = await seen(provider, order)
        if one.refused:
            refused.append(one)
            break
        await asyncio.sleep(0.3)

    assert refused
    assert re.search(words, refused[0].detail), refused[0].detail
    await eventually(lambda: not rig.of(MINE), 10)
    assert (await seen(provider, order)).refused, "and it stays so when the system says that it was cancelled"


async def test_a_submission_that_was_made_and_not_written_down_is_found_by_its_mark(
    rig: Rig, provider: BatchProvider
) -> None:
    (order,) = await orders(provider, 1)
    first = await launch(provider, order)
    (record,) = (provider._books.batches).glob("*/batch.json")
    record.write_text(record.read_text().replace(f'"{first.handle.partition("_")[0]}"', "null"))

    again = await launch(provider, order)

    assert again.handle == first.handle
    assert len(rig.of(MINE)) == 1


async def test_a_submission_that_was_written_down_and_never_made_is_made(rig: Rig, provider: BatchProvider) -> None:
    (order,) = await orders(provider, 1)
    first = await launch(provider, order)
    rig.cancel(at(rig, first.handle))
    (record,) = (provider._books.batches).glob("*/batch.json")
    text = record.read_text().replace(f'"{first.handle.partition("_")[0]}"', "null")
    renamed = record.parent.rename(record.parent.with_name("feedfacefeedface"))
    (renamed / "batch.json").write_text(text)
    place = provider._books.orders / order.marks.order
    place.write_text(place.read_text().replace(record.parent.name, renamed.name))

    again = await launch(provider, order)

    assert again.handle != first.handle


@pytest.fixture
def caller(rig: Rig, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a program with a cluster of nine workers, for which there is no room at once."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environ = {
        **os.environ,
        "TRADEWIND_SERVER": "solo",
        "TRADEWIND_DATA_DIR": str(tmp_path / "data"),
        "TRADEWIND_CONFIG_DIR": str(tmp_path / "conf"),
        f"TRADEWIND_{rig.name.upper()}__INTERFACE": "lo",
        "TRADEWIND_WAIT_FOR_WORKERS": "0.3",
        "TRADEWIND_ORPHAN_TIMEOUT": "15",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, str(program), f"fault-{time.time_ns()}", rig.name]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.wait()
    rig.cancel(*(one.id for one in live(rig, tmp_path)))


def live(rig: Rig, directory: Path) -> list[Live]:
    """Return the jobs of a caller's clusters."""
    names = set()
    for record in directory.glob(f"data/{rig.name}/batches/*/batch.json"):
        names |= {name_of(marks["cluster"]) for marks in json.loads(record.read_text())["marks"]}
    return [one for one in rig.of("tradewind:") if one.name in names]


def ends(directory: Path) -> list[str]:
    """Return how instances of a caller's clusters ended, as they said themselves."""
    return [json.loads(path.read_text())["detail"] for path in directory.glob("data/*/runs/*/exit.json")]


def read_until(caller: "subprocess.Popen[str]", word: str, least: int) -> None:
    assert caller.stdout is not None
    while True:
        said, _, number = caller.stdout.readline().partition(" ")
        if said == word and int(number) >= least:
            return
        assert caller.poll() is None


@pytest.mark.parametrize("after", ["its first job is queued", "it has computed"])
async def test_nothing_is_left_in_the_queue_when_the_caller_is_killed(
    rig: Rig, caller: "subprocess.Popen[str]", tmp_path: Path, after: str
) -> None:
    if after == "it has computed":
        read_until(caller, "result", 42)
    else:
        await eventually(lambda: bool(live(rig, tmp_path)), 30)

    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()

    assert live(rig, tmp_path)
    # The orphan timeout, Slurm's looks every 30 s at what may no longer start, and its own grace.
    await eventually(lambda: not live(rig, tmp_path), 15 + 60 + 15)


async def test_what_is_looked_after_lives_on_long_past_its_orphan_timeout(
    rig: Rig, caller: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    read_until(caller, "workers", 5)
    before = {one.id for one in live(rig, tmp_path) if not one.waits}

    # Three times the orphan timeout; a host that counts its own silence would end all after two.
    await asyncio.sleep(45)

    assert ends(tmp_path) == []
    assert before <= {one.id for one in live(rig, tmp_path) if not one.waits}


@pytest.fixture
def full(rig: Rig) -> Iterator[str]:
    """Have every core taken by somebody else."""
    job = rig.fill()
    yield job
    rig.cancel(job)


@pytest.mark.parametrize("rig", [SLURM], indirect=True, ids=["slurm"])
async def test_what_only_waits_leaves_the_queue_too_when_the_caller_is_killed(
    rig: Rig, full: str, caller: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    await eventually(lambda: len(live(rig, tmp_path)) == 10, 30)
    await asyncio.sleep(25)  # longer than the orphan timeout: somebody looks after it, so it stays
    assert len(live(rig, tmp_path)) == 10
    assert all(one.waits for one in live(rig, tmp_path))

    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()

    await eventually(lambda: not live(rig, tmp_path), 15 + 90)


@pytest.mark.parametrize("rig", [SGE], indirect=True, ids=["sge"])
async def test_the_first_that_starts_for_nobody_takes_back_all_that_waits(
    rig: Rig, full: str, caller: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    await eventually(lambda: len(live(rig, tmp_path)) == 10, 30)
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    await asyncio.sleep(17)  # the orphan timeout, and some
    assert len(live(rig, tmp_path)) == 10, "nothing but a job of ours could know that nobody is there"

    rig.cancel(full)

    await eventually(lambda: not live(rig, tmp_path), 30)
    assert ends(tmp_path)
    assert all("nobody has looked after it" in one for one in ends(tmp_path))


async def test_a_worker_that_is_cancelled_from_outside_is_replaced(
    rig: Rig, caller: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    read_until(caller, "workers", 5)
    before = {one.id for one in live(rig, tmp_path)}
    running = [one for one in live(rig, tmp_path) if not one.waits]

    rig.cancel(max(running, key=lambda one: (int(one.submission), one.index)).id)

    await eventually(lambda: bool({one.id for one in live(rig, tmp_path)} - before), 20)
