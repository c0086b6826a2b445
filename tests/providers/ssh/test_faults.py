"""What goes wrong between us and a host, and what is said and done then."""

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.line.cable import Cable
from tests.line.sshd import Sshd
from tests.providers.local.orders import order
from tradewind.boot.process import Software
from tradewind.errors import NoCapacity, ProviderError, Rejected, Unavailable
from tradewind.model.environment import Artifact, Environment
from tradewind.model.instance import InstanceStatus, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Need, Range, Resources
from tradewind.providers.base import Order

from .conftest import PYTHON, Lab, launch, sight, until

RUNNING, STOPPED, STARTING = InstanceStatus.RUNNING, InstanceStatus.STOPPED, InstanceStatus.STARTING


def ordered(role: Role = Role.SCHEDULER, cluster: str = "c", *, cpus: float = 1, **boot: Any) -> Order:
    offer = Offer(provider="ssh", vm_type="host", resources=Resources(cpus=cpus, memory=GIB))
    return replace(order(role, cluster, **boot), offer=offer)


async def test_wherever_the_line_breaks_the_same_order_again_launches_once(lab: Lab, cable: Cable) -> None:
    hosts = (lab.host("ws1", port=cable.port), lab.host("ws2", port=cable.port))
    for number, (way, left) in enumerate(
        [("up", 10), ("up", 3000), ("up", 6000), ("up", 16_000), ("up", 40_000), ("down", 1500), ("down", 4500)]
    ):
        provider = lab.provider(*hosts)
        one = ordered(Role.WORKER, "c", order_id=f"o-{way}-{left}")
        setattr(cable, way, left)
        with contextlib.suppress(ProviderError):
            await launch(provider, one)
        cable.mend()
        until_s = time.monotonic() + 30
        while True:
            try:
                (handle,) = await launch(provider, one)
                break
            except Unavailable:
                assert time.monotonic() < until_s
                await asyncio.sleep(0.1)
        claims = lab.claims(one)
        assert len(claims) == 1, (way, left)
        assert handle.handle == f"{claims[0].parents[2].name}/{one.marks.order}"
        await provider.terminate([handle.handle])
        await until(provider, handle, STOPPED)
        await provider.aclose()
        assert number < 7


def appears(directory: Path, name: str) -> bool:
    until_s = time.monotonic() + 20
    while time.monotonic() < until_s:
        with contextlib.suppress(FileNotFoundError):
            if name in os.listdir(directory):
                return True
        time.sleep(0.001)
    return False


async def test_an_order_whose_answer_was_lost_waits_for_its_host_and_goes_to_no_other(lab: Lab, cable: Cable) -> None:
    hosts = (lab.host("ws1", port=cable.port), lab.host("ws2"))
    provider = lab.provider(*hosts)
    await provider.observe()
    one = ordered(Role.WORKER)
    task = asyncio.create_task(launch(provider, one))
    assert await asyncio.to_thread(appears, lab.directory / "ws1" / "runs", one.marks.order)
    # It is being claimed, and says so to nobody.
    cable.is_deaf = True
    await asyncio.sleep(0.5)
    cable.cut()
    with contextlib.suppress(Unavailable):
        await task
    for _ in range(3):
        with pytest.raises(Unavailable, match=one.marks.instance):
            await launch(provider, one)
    assert lab.runs("ws2") == []
    cable.mend()
    while True:
        with contextlib.suppress(Unavailable):
            (handle,) = await launch(provider, one)
            break
        await asyncio.sleep(0.1)
    assert handle.handle.startswith("ws1/")


async def test_a_silent_host_keeps_what_it_had_and_stops_nobody_else(lab: Lab, cable: Cable) -> None:
    hosts = (lab.host("ws1", port=cable.port), lab.host("ws2"))
    provider = lab.provider(*hosts)
    first, second = ordered(Role.WORKER, cpus=4), ordered(Role.WORKER, cpus=4)
    handles = await launch(provider, first, second)
    there = next(handle for handle in handles if handle.handle.startswith("ws1/"))
    for is_deaf in (False, True):
        cable.cut()
        cable.is_out, cable.is_deaf = not is_deaf, is_deaf
        fresh = lab.provider(*hosts)
        for one in (provider, fresh):
            began = time.monotonic()
            seen = await sight(one, there)
            assert seen is not None
            assert seen.status is STARTING
            assert "ws1" in seen.detail
            assert time.monotonic() - began < 5, "a list has to come within the engine's patience"
        third = ordered(Role.WORKER, cpus=4)
        with pytest.raises(NoCapacity, match="ws1"):
            await launch(provider, third)
        other = next(handle for handle in handles if handle is not there)
        await provider.terminate([other.handle])
        await until(provider, other, STOPPED)
        with pytest.raises(Unavailable, match="ws1"):
            await provider.terminate([there.handle])
        cable.mend()
        assert (await until(provider, there, STARTING, detail="on ws1")).handle == there.handle
        handles = [there, *await launch(provider, ordered(Role.WORKER, cpus=4))]


async def test_whom_a_scheduler_meets_is_known_while_it_is_written_anew(lab: Lab, cable: Cable) -> None:
    provider = lab.provider(lab.host("ws1", cores=1), lab.host("ws2", port=cable.port))
    scheduler, worker = ordered(), ordered(Role.WORKER, cpus=4)
    stays, goes = [(await launch(provider, one))[0] for one in (scheduler, worker)]
    assert (stays.handle[:3], goes.handle[:3]) == ("ws1", "ws2")
    crew = lab.directory / "ws1" / "runs" / scheduler.marks.order / "crew.json"
    whole = json.dumps({worker.marks.instance: int(time.time())})
    for text in (whole, whole[:-1]):
        crew.write_text(text)
        assert await sight(provider, goes) is not None
    cable.cut()
    cable.is_out = True
    seen = await sight(provider, goes)
    assert seen is not None
    assert seen.detail.endswith("; its scheduler reaches it")


async def test_where_no_host_answers_it_is_unavailable_and_says_why(lab: Lab, cable: Cable) -> None:
    cable.cut()
    provider = lab.provider(lab.host(port=cable.port))
    with pytest.raises(Unavailable, match="ws1"):
        await provider.observe()
    with pytest.raises(Unavailable, match="ws1"):
        await launch(provider, ordered())


async def test_a_cut_line_and_no_engine_leave_nothing_running(lab: Lab) -> None:
    provider = lab.provider()
    scheduler = ordered(orphan_timeout_s=6.0)
    worker = ordered(Role.WORKER, orphan_timeout_s=6.0)
    for handle in await launch(provider, scheduler, worker):
        await until(provider, handle, RUNNING)
    assert len(lab.processes()) > 1
    await provider.aclose()
    lab.server.cut()
    until_s = time.monotonic() + 30
    while lab.processes():
        assert time.monotonic() < until_s, lab.processes()
        await asyncio.sleep(0.1)


async def test_a_restarted_host_has_lost_what_ran_there(lab: Lab) -> None:
    provider = lab.provider()
    (handle,) = await launch(provider, ordered())
    await until(provider, handle, RUNNING)
    lab.kill_all()
    lab.server.cut()
    (claim,) = lab.claims()
    claim.write_text(json.dumps(json.loads(claim.read_text()) | {"boot": "another"}))
    seen = await until(lab.provider(), handle, STOPPED)
    assert seen.detail == "on ws1: the host was restarted while it ran"
    assert seen.stopped_at is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be made here: {mounted.stderr.decode().strip()}")
    (place / "runs").mkdir()
    with contextlib.suppress(OSError), (place / "filled").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


async def test_a_host_with_a_full_disk_is_passed_over_and_named(lab: Lab, small_disk: Path) -> None:
    full = lab.host("ws1", directory=str(small_disk))
    (handle,) = await launch(lab.provider(full, lab.host("ws2")), ordered())
    assert handle.handle.startswith("ws2/")
    with pytest.raises(NoCapacity, match="ws1: No space left on device"):
        await launch(lab.provider(full), ordered())
    assert os.listdir(small_disk / "runs") == []


async def test_hosts_whose_keys_are_not_known_are_all_named_at_once_whatever_they_cost(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "known").write_text("")
    hosts = [lab.host(f"ws{n}", price_per_hour=Decimal(n)) for n in (1, 2, 3)]
    provider = lab.provider(*hosts, known_hosts=str(tmp_path / "known"))
    offer = (await provider.offers(Need(cpus=Range(minimum=1, maximum=1))))[0]

    with pytest.raises(Rejected) as refused:
        await launch(provider, replace(ordered(Role.WORKER), offer=offer))

    assert [f"the key of ws{n} isn't known" in str(refused.value) for n in (1, 2, 3)] == [True] * 3


def clock_ahead_by(seconds: float, directory: Path) -> str:
    """Return a Python whose clock is wrong."""
    path = directory / f"python-{seconds:g}"
    shift = f"import sys,time;real=time.time;time.time=lambda:real()+({seconds});sys.executable='{path}'"
    code = f"{shift};sys.argv=sys.argv[1:];i=sys.argv.index('-c');code=sys.argv[i+1];exec(code,globals())"
    return executable(path, f'exec {PYTHON} -c "{code}" "$@"')


def executable(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("ahead", [-600, 600])
async def test_times_of_a_host_whose_clock_is_wrong_are_told_by_ours(lab: Lab, ahead: int) -> None:
    provider = lab.provider(lab.host(python=clock_ahead_by(ahead, lab.directory)))
    before = time.time()
    (handle,) = await launch(provider, ordered())
    seen = await sight(provider, handle)
    assert seen is not None
    assert seen.started_at is not None
    assert before - 2 < seen.started_at.timestamp() < time.time() + 2
    again = await sight(provider, handle)
    assert again is not None
    assert again.started_at == seen.started_at


async def test_a_clock_so_wrong_that_keys_are_not_valid_there_is_rejected(lab: Lab) -> None:
    provider = lab.provider(lab.host(python=clock_ahead_by(-3 * 3600, lab.directory)))
    with pytest.raises(Rejected, match=r"the clock of ws1 is (3:00:0\d|2:59:5\d) behind ours"):
        await launch(provider, ordered())


HELLO = '"now": 1e9, "python": "3.11.0", "root": "/r", "platform": "linux-x86_64", "glibc": "2.36"'


@pytest.mark.parametrize(
    "lines",
    [
        ["{}"],
        ['{"now": "soon"}'],
        ['{"now": NaN, "root": "/r"}'],
        [f"{{{HELLO.replace('2.36', 'new')}}}"],
        [f"{{{HELLO}}}", '{"id": 1}'],
        [f"{{{HELLO}}}", '{"id": 1, "now": 1e999}'],
        [f"{{{HELLO}}}", '{"id": 1, "now": 1e9, "at": 1, "runs": [1]}'],
        [f"{{{HELLO}}}", '{"id": 1, "now": 1e9, "at": 1, "runs": {"o": {"claim": {"pid": 1}, "alive": true}}}'],
        [f"{{{HELLO}}}", "[" * 30_000],
    ],
)
async def test_a_host_whose_answers_make_no_sense_hides_no_other(lab: Lab, lines: list[str]) -> None:
    liar = lab.directory / "liar"
    said = "\n".join(lines)
    liar.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexec sleep 0.3\n")
    liar.chmod(0o755)
    bare = (lab.host("ws1", environment=None), lab.host("ws2", python=str(liar), environment=None))
    assert "linux" in str(await lab.provider(*bare).offers(Need()))
    provider = lab.provider(lab.host("ws1"), lab.host("ws2", python=str(liar)))
    (handle,) = await launch(provider, ordered())
    assert handle.handle.startswith("ws1/")
    seen = await sight(provider, handle)
    assert seen is not None
    assert seen.status.is_live


async def test_an_environment_without_tradewind_says_what_it_missed(lab: Lab) -> None:
    bare = lab.directory / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)  # noqa: ASYNC221
    provider = lab.provider(lab.host(environment=str(bare)))
    (handle,) = await launch(provider, ordered())
    seen = await until(provider, handle, STOPPED)
    assert "No module named" in seen.detail
    assert "tradewind" in seen.detail


async def test_a_keeper_that_is_killed_leaves_nothing_of_its_instance(lab: Lab) -> None:
    provider = lab.provider()
    (handle,) = await launch(provider, ordered())
    await until(provider, handle, RUNNING)
    (claim,) = lab.claims()
    os.kill(json.loads(claim.read_text())["pid"], 9)
    seen = await until(provider, handle, STOPPED)
    assert "keeper process was killed" in seen.detail
    until_s = time.monotonic() + 5
    while lab.processes():
        assert time.monotonic() < until_s, lab.processes()
        await asyncio.sleep(0.05)


async def test_hosts_take_no_more_than_they_have_whoever_asks(lab: Lab) -> None:
    one, other = lab.provider(), lab.provider(installation="another", state=lab.directory / "other_state")
    first = await launch(one, *(ordered(Role.WORKER, cpus=1) for _ in range(3)))
    strangers = ordered(Role.WORKER, cpus=2)
    strangers = replace(strangers, marks=replace(strangers.marks, installation="another"))
    with pytest.raises(NoCapacity, match="full"):
        await launch(other, strangers)
    done = await asyncio.gather(
        *(launch(provider, ordered(Role.WORKER, cpus=1)) for provider in (one, other)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in done) == ["NoCapacity", "list"], done
    assert len(lab.runs()) == 4
    await launch(other, ordered())  # a scheduler takes no room
    await one.terminate([first[0].handle, first[1].handle])
    await until(one, first[0], STOPPED)
    await until(one, first[1], STOPPED)
    await launch(other, strangers)


async def test_each_instance_sees_gpus_of_its_own(lab: Lab) -> None:
    provider = lab.provider(lab.host(gpus=3))
    resources = Resources(cpus=1, memory=GIB, gpus=1)
    for _ in range(3):
        one = ordered(Role.WORKER)
        await launch(provider, replace(one, offer=replace(one.offer, resources=resources)))
    with pytest.raises(NoCapacity, match="full"):
        await launch(provider, replace(ordered(Role.WORKER), offer=replace(one.offer, resources=resources)))

    def seen() -> set[str | None]:
        found = set()
        for process in lab.processes():
            # One that is being made has no variables yet, or has gone again.
            with contextlib.suppress(psutil.Error, OSError):
                found.add(process.environ().get("CUDA_VISIBLE_DEVICES"))
        return found

    for _ in range(200):
        if {"0", "1", "2"} <= seen():
            break
        await asyncio.sleep(0.1)
    assert {"0", "1", "2"} <= seen()


async def test_a_worker_on_another_host_hears_where_its_scheduler_is(lab: Lab) -> None:
    provider = lab.provider(lab.host("ws1"), lab.host("ws2"))
    scheduler = ordered()
    worker = ordered(Role.WORKER)
    stay, go = await launch(provider, scheduler), await launch(provider, ordered(Role.WORKER, "other", cpus=4), worker)
    assert {handle.handle.split("/")[0] for handle in (*stay, *go)} == {"ws1", "ws2"}
    workers = {handle.order: handle for handle in go}
    scheduler_host = stay[0].handle.split("/")[0]
    mine = workers[worker.marks.order]
    assert mine.handle.split("/")[0] != scheduler_host
    await until(provider, mine, RUNNING)


async def test_stopping_while_sshd_is_replaced_goes_on_after(lab: Lab, server: Sshd) -> None:
    provider = lab.provider()
    (handle,) = await launch(provider, ordered())
    server.stop()
    with pytest.raises(Unavailable):
        await provider.terminate([handle.handle])
    server.start()
    async with asyncio.timeout(40):
        while True:
            with contextlib.suppress(Unavailable):
                await provider.terminate([handle.handle])
                break
            await asyncio.sleep(0.1)
    await until(provider, handle, STOPPED)


def needing(files: dict[str, Path], python: str = "3.99.0") -> Software:
    """Return software that no host can have: its Python doesn't exist."""
    artifacts = tuple(
        Artifact(file_name=path.name, sha256=sha256, size=path.stat().st_size) for sha256, path in files.items()
    )
    wanted = Environment(
        python=python, platform="linux-x86_64", packages=(), content_hash="ab" * 32, artifacts=artifacts
    )
    return Software(environment=wanted, files={sha256: str(path) for sha256, path in files.items()})


async def test_software_that_can_not_be_made_ends_its_instance_with_the_reason(lab: Lab) -> None:
    wheel = lab.directory / "mine-1.0-py3-none-any.whl"
    wheel.write_bytes(b"no wheel at all")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    provider = lab.provider(lab.host("ws1", environment=None), lab.host("ws2", environment=None))
    handles = await launch(provider, *(ordered(software=needing({sha256: wheel})) for _ in range(3)))
    for handle in handles:
        seen = await until(provider, handle, STOPPED)
        host, _, reason = seen.detail.partition(": ")
        assert host == f"on {handle.handle[:3]}"
        assert reason
        assert f"{reason}." in await provider.logs(handle.handle, 20), "what the restoring said last"
    for host in {handle.handle.split("/")[0] for handle in handles}:
        assert os.listdir(lab.directory / host / "artifacts" / sha256) == [wheel.name], "brought once, and whole"


async def test_a_host_on_which_something_failed_is_taken_last(lab: Lab) -> None:
    provider = lab.provider(lab.host("ws1", environment=None), lab.host("ws2", environment=None))
    (bad,) = await launch(provider, ordered(Role.WORKER, software=needing({})))
    await until(provider, bad, STOPPED)
    (after,) = await launch(provider, ordered(Role.WORKER, software=needing({})))
    assert {bad.handle[:3], after.handle[:3]} == {"ws1", "ws2"}


async def test_what_was_never_said_or_is_gone_is_rejected_before_any_host_is_asked(lab: Lab) -> None:
    provider = lab.provider(lab.host(environment=None, port=1))
    with pytest.raises(Rejected, match="isn't known what software"):
        await launch(provider, ordered())
    gone = lab.directory / "gone.whl"
    gone.write_text("x")
    wanted = needing({"ab" * 32: gone})
    gone.unlink()
    with pytest.raises(Rejected, match=r"gone\.whl, of your own code, isn't there any more"):
        await launch(provider, ordered(software=wanted))


def test_nothing_is_imported_for_those_who_do_not_use_it() -> None:
    code = "import tradewind, sys; from tradewind.providers.registry import known; print('asyncssh' in sys.modules)"
    done = subprocess.run(["python", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
