"""What lasts on a real Slurm: long waits, and accounts after the end; ``squeue`` and ``sacct`` are the witnesses."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from tests.providers.batch.rigs import SLURM, Rig
from tests.providers.batch.test_faults import MINE, ask_besides, orders
from tests.providers.slurm.conftest import ask
from tradewind.model.instance import InstanceStatus, ObservedInstance, Role
from tradewind.providers.base import Handle, ProviderSettings
from tradewind.providers.batch.rest import SELDOM_S
from tradewind.providers.batch.runner import PATIENCE_S, Said
from tradewind.providers.slurm import SlurmProvider
from tradewind.testing.provider_tests import launch

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]


class Counted:
    """Runs what it is told to, and counts it."""

    def __init__(self, provider: SlurmProvider) -> None:
        self.runner = provider._place.runner
        self.said: list[str] = []

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        self.said.append(command[0])
        return await self.runner.run(command, text=text, keeps=keeps, patience_s=patience_s)


@pytest_asyncio.fixture
async def provider(stand: Callable[[Rig], None], tmp_path: Path) -> AsyncIterator[SlurmProvider]:
    stand(SLURM)
    settings = ProviderSettings(installation=MINE, state_directory=str(tmp_path), options={"interface": "lo"})
    provider = SlurmProvider.from_settings(settings)
    yield provider
    SLURM.cancel(*(job.id for job in SLURM.of(MINE)))
    await provider.aclose()


async def until(provider: SlurmProvider, handle: Handle, status: InstanceStatus) -> ObservedInstance:
    before = time.monotonic() + 60
    while True:
        one = next(one for one in await provider.observe() if one.handle == handle.handle)
        if one.status is status:
            return one
        assert time.monotonic() < before, one
        await asyncio.sleep(0.3)


async def test_what_has_waited_for_long_is_asked_about_seldom_and_looked_after_all_the_same(
    provider: SlurmProvider, tmp_path: Path
) -> None:
    ask_besides(provider, SLURM.later)
    (order,) = await orders(provider, 1)
    handle = await launch(provider, order)
    counted = provider._roll._runner = Counted(provider)
    now = [time.monotonic()]
    provider._rest._clock = lambda: now[0]
    await provider.observe()
    now[0] += 3600
    await provider.observe()
    heard = tmp_path / "slurm" / "heard"
    assert "squeue" in counted.said
    before, counted.said[:] = heard.stat().st_mtime, []

    for _ in range(9):
        now[0] += SELDOM_S / 10
        (one,) = await provider.observe()
        assert one.status is InstanceStatus.PENDING

    assert "squeue" not in counted.said
    assert heard.stat().st_mtime > before
    await provider.terminate([handle.handle])
    await provider.observe()
    assert "squeue" in counted.said


async def test_a_bill_is_what_the_accounts_say(provider: SlurmProvider) -> None:
    (order,) = await orders(provider, 1, role=Role.SCHEDULER)
    handle = await launch(provider, order)
    await until(provider, handle, InstanceStatus.RUNNING)
    await asyncio.sleep(2)  # accounts count whole seconds, and of none there is no share

    await provider.terminate([handle.handle])
    one = await until(provider, handle, InstanceStatus.STOPPED)
    before = time.monotonic() + 30
    while one.charged is None:  # on a busy machine they are a little late
        assert time.monotonic() < before
        await asyncio.sleep(0.5)
        one = await until(provider, handle, InstanceStatus.STOPPED)

    line = SLURM.ask(
        "sacct", "-nPX", "--format=ElapsedRaw,AllocTRES", f"--jobs={handle.handle.partition('/')[0]}"
    ).strip()
    elapsed, _, tres = line.partition("|")
    assert one.started_at is not None
    assert one.stopped_at is not None
    assert (one.stopped_at - one.started_at).total_seconds() == int(elapsed)
    assert one.charged.per_hour == Decimal(dict(part.split("=") for part in tres.split(","))["billing"])
    assert "of its core" in one.detail


async def test_a_job_whose_comment_is_written_over_is_still_ours(provider: SlurmProvider) -> None:
    ask_besides(provider, SLURM.later)
    (order,) = await orders(provider, 1)
    handle = await launch(provider, order)
    job = handle.handle.partition("_")[0]

    await asyncio.to_thread(ask, "scontrol", "update", f"JobId={job}", "Comment=project-x")

    (one,) = await provider.observe()
    assert (one.handle, one.status) == (handle.handle, InstanceStatus.PENDING)
    await provider.terminate([handle.handle])
    await until(provider, handle, InstanceStatus.STOPPED)
    await provider.terminate([handle.handle])
    await provider.terminate([handle.handle, "999999_0/unknown"])
