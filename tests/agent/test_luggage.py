"""Code comes to every worker before its tasks, whenever it joins."""

from __future__ import annotations

import asyncio
import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Scheduler, Worker
from distributed.diagnostics.plugin import WorkerPlugin

from tradewind.agent.luggage import USE, CodeAtScheduler, CodeAtWorker
from tradewind.agent.unpacked import Unpacked


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def a_zip(text: str) -> tuple[dict[str, Any], bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("neap.py", text)
    content = buffer.getvalue()
    return {"file_name": "modules.zip", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}, content


async def hand_over(code: CodeAtScheduler, text: str, by: str = "ada") -> dict[str, Any]:
    piece, content = a_zip(text)
    if code.lacking([piece]):
        assert await code.bring(piece, 0, content[:20]) == {"status": "OK"}
        assert await code.bring(piece, 20, content[20:]) == {"status": "OK"}
    return await code.use(by=by, places=[piece], tops=["neap"], contents={"neap.py": piece["sha256"]})


def scheduler() -> Scheduler:
    return Scheduler(host="127.0.0.1", port=0, dashboard_address=":0", dashboard=False)


class Slow(WorkerPlugin):
    """Holds a worker up after it has asked for code, and before it joins."""

    name = "slow"

    def __init__(self) -> None:
        self.has_asked, self.may_join = asyncio.Event(), asyncio.Event()

    async def setup(self, worker: Worker) -> None:
        self.has_asked.set()
        await self.may_join.wait()


async def test_code_that_comes_while_a_worker_joins_is_there_before_its_first_task(tmp_path: Path) -> None:
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"))
        assert (await hand_over(code, "x = 1"))["workers"] == 0
        slow, mine = Slow(), CodeAtWorker(Unpacked(tmp_path / "worker"))
        worker = Worker(s.address, nthreads=1, plugins=(mine, slow), local_directory=str(tmp_path))
        starting = asyncio.ensure_future(worker.start())
        await slow.has_asked.wait()
        async with asyncio.timeout(10):
            while mine._round != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await hand_over(code, "x = 2")
        slow.may_join.set()
        async with Client(s.address, asynchronous=True) as client:
            value = await client.submit(lambda: __import__("neap").x, pure=False)
            await starting
            assert value == 2
            assert mine._round == 2
        await worker.close()


async def test_a_worker_that_cannot_take_the_code_does_not_join(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"))
        await hand_over(code, "x = 1")
        broken = CodeAtWorker(Unpacked(tmp_path / "file" / "luggage"))
        with pytest.raises(RuntimeError) as caught:
            await Worker(s.address, nthreads=1, plugins=(broken,), local_directory=str(tmp_path))
        assert "modules.zip can't be put into" in str(caught.value.__cause__)
        assert not s.workers


async def test_a_worker_that_cannot_take_a_change_is_named_with_the_reason(tmp_path: Path) -> None:
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"))
        home = tmp_path / "worker"
        async with Worker(s.address, name="w1", plugins=(CodeAtWorker(Unpacked(home)),), local_directory=str(tmp_path)):
            home.write_text("in the way")
            answer = await hand_over(code, "x = 1")
            assert answer["workers"] == 0
            assert "modules.zip can't be put into" in answer["failed"]["w1"]


async def test_a_worker_that_knows_of_no_code_is_named(tmp_path: Path) -> None:
    async with scheduler() as s, Worker(s.address, name="old", local_directory=str(tmp_path)):
        answer = await hand_over(CodeAtScheduler(s, Unpacked(tmp_path / "scheduler")), "x = 1")
        assert answer["failed"].keys() == {"old"}


async def test_parts_that_come_out_of_order_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"))
        piece, content = a_zip("x = 1")
        assert await code.bring(piece, 0, content[:20]) == {"status": "OK"}
        assert "missing" in (await code.bring(piece, 30, content[30:]))["refused"]
        assert code.lacking([piece]) == [piece["sha256"]]
        assert (await hand_over(code, "x = 1"))["workers"] == 0
        assert USE in s.handlers


async def test_what_is_larger_than_any_code_is_refused_before_it_is_written(tmp_path: Path) -> None:
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"))
        piece = {"file_name": "data.zip", "sha256": "a" * 64, "size": 2**31}
        assert "data.zip has 2,048 MiB" in (await code.bring(piece, 0, b"x"))["refused"]
        assert not (tmp_path / "scheduler").exists()
