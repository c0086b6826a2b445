"""Hosts that leave the settings while something runs on them."""

import asyncio
import threading
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.providers.local.orders import order
from tradewind.errors import Rejected, Unavailable
from tradewind.model.instance import InstanceStatus, Role
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.providers.base import Order
from tradewind.providers.ssh.known import Known, Memory, Placed
from tradewind.providers.ssh.sight import gone_by

from .conftest import Lab, launch, sight, until
from .test_sight import facts

LEFT = "isn't among"


def ordered(**boot: object) -> Order:
    offer = Offer(provider="ssh", vm_type="host", resources=Resources(cpus=1, memory=GIB))
    return replace(order(Role.SCHEDULER, "c", **boot), offer=offer)


async def test_what_runs_on_a_host_that_left_the_settings_is_shown_and_ends_by_itself(lab: Lab) -> None:
    before = lab.provider(lab.host("ws2"))
    one = ordered(orphan_timeout_s=3.0)
    (handle,) = await launch(before, one)
    await until(before, handle, InstanceStatus.RUNNING)
    heard_at = time.time()
    await before.aclose()

    after = lab.provider(lab.host("ws1"))
    seen = await sight(after, handle)
    assert seen is not None
    assert seen.status is InstanceStatus.RUNNING
    assert "ws2 isn't among [[ssh.hosts]]" in seen.detail
    assert [h.handle for h in await launch(after, one)] == [handle.handle], "it isn't launched twice"
    await after.terminate([handle.handle])
    while lab.processes():
        assert time.time() < gone_by(heard_at, 3.0)
        await asyncio.sleep(0.1)


async def test_an_order_that_a_host_may_have_that_left_the_settings_waits_until_it_must_be_over(lab: Lab) -> None:
    one, late = ordered(), ordered()
    memory = Memory(lab.directory / "state" / "ssh")
    memory.place(one.marks.order, Placed(host="ws2", at=time.time(), marks=one.marks))
    memory.place(late.marks.order, Placed(host="ws2", at=time.time() - 961, marks=late.marks))
    provider = lab.provider(lab.host("ws1"))
    with pytest.raises(Unavailable, match=LEFT):
        await launch(provider, one)
    with pytest.raises(Rejected, match=LEFT):
        await launch(provider, late)
    seen = {o.marks.order: o for o in await provider.observe()}
    assert seen[one.marks.order].status is InstanceStatus.PENDING
    assert seen[late.marks.order].status is InstanceStatus.STOPPED
    assert seen[late.marks.order].stopped_at is not None
    assert seen[late.marks.order].stopped_at < datetime.now(UTC)
    assert lab.runs("ws1") == []


async def test_a_host_that_left_costs_the_loop_nothing_and_is_forgotten_in_the_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks, days = ordered().marks, 86400.0
    memory = Memory(lab.directory / "state" / "ssh")
    for name, age_s in (("lately", 1 * days), ("long-ago", 9 * days)):
        run = {**facts(), "claim": facts()["claim"] | {"marks": asdict(marks)}}
        memory.save(name, Known(answered_at=time.time() - age_s, runs={"o-1": run}))
    memory.place(marks.order, Placed(host="lately", at=time.time(), marks=marks))
    readers: list[int] = []
    opens = Path.read_text

    def noting(path: Path, *args: Any, **kwargs: Any) -> str:
        if path.parent.name == "orders":
            readers.append(threading.get_ident())
        return opens(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", noting)
    provider = lab.provider(lab.host("ws1"))

    first = {one.handle.partition("/")[0] for one in await provider.observe()}
    for _ in range(3):
        later = {one.handle.partition("/")[0] for one in await provider.observe()}

    assert (first, later) == ({"lately", "long-ago"}, {"lately"})
    assert memory.hosts() == ("lately",)
    assert len(readers) == 1, "each order is read once"
    assert threading.get_ident() not in readers


async def test_an_order_that_arrives_too_late_is_refused(lab: Lab) -> None:
    provider = lab.provider()
    await provider.observe()
    line = provider._lines["ws1"]
    answer = await line.ask("start", order={"order": "o-late"}, limits={}, until=time.time() - 1)
    assert "arrived so late" in answer["refused"]
    assert lab.runs() == []
