"""Code comes to every worker before its tasks, whenever it joins."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import io
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Scheduler, Worker
from distributed.diagnostics.plugin import WorkerPlugin

from tradewind.agent.luggage import USE, CodeAtScheduler, CodeAtWorker, Luggage
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
        transfer = hashlib.sha256(by.encode()).hexdigest()[:32]
        assert await code.bring(piece, 0, content[:20], transfer) == {"status": "OK"}
        assert await code.bring(piece, 20, content[20:], transfer) == {"status": "OK"}
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


class StandsStill(CodeAtWorker):
    """A worker that doesn't get to anything for a time."""

    def __init__(self, store: Unpacked) -> None:
        super().__init__(store)
        self.goes_on = asyncio.Event()

    async def _use(self, luggage: Luggage) -> tuple[str, ...]:
        await self.goes_on.wait()
        return await super()._use(luggage)


async def test_a_worker_that_stands_still_holds_nobody_up_and_has_the_newest_when_it_goes_on(tmp_path: Path) -> None:
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"), within_s=0.3)
        still, well = StandsStill(Unpacked(tmp_path / "w1")), CodeAtWorker(Unpacked(tmp_path / "w2"))
        async with (
            Worker(s.address, name="still", plugins=(still,), local_directory=str(tmp_path)),
            Worker(s.address, name="well", plugins=(well,), local_directory=str(tmp_path)),
        ):
            async with asyncio.timeout(5):
                first, second = await asyncio.gather(hand_over(code, "x = 1"), hand_over(code, "x = 2", by="bob"))
            assert first["workers"] == second["workers"] == 1
            assert "doesn't answer (TimeoutError), and takes it when it does" in second["failed"]["still"]
            assert (still._round, well._round) == (0, 2)
            still.goes_on.set()
            async with asyncio.timeout(5):
                while still._round != 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


def directory(path: Path, round_: int, **tops: int) -> dict[str, Any]:
    return Luggage(round=round_, places=(str(path),), tops=tops).dump()


@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 2, 1)])
async def test_the_newest_wins_on_a_worker_in_whatever_order_they_come(tmp_path: Path, order: tuple[int, ...]) -> None:
    mine = CodeAtWorker(Unpacked(tmp_path / "worker"))
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
    answers = await asyncio.gather(*(mine.use(directory(tmp_path / str(n), n)) for n in order))
    assert {answer["status"] for answer in answers} == {"OK"}
    assert [place for place in sys.path if place.startswith(str(tmp_path))] == [str(tmp_path / "2")]


async def test_who_missed_a_round_loads_anew_what_changed_in_it_too(tmp_path: Path) -> None:
    mine = CodeAtWorker(Unpacked(tmp_path / "worker"))
    for name in ("neap_a", "neap_b", "neap_c"):
        (tmp_path / f"{name}.py").write_text("")
    await mine.use(directory(tmp_path, 1, neap_c=1))
    for name in ("neap_a", "neap_b", "neap_c"):
        importlib.import_module(name)
    answer = await mine.use(directory(tmp_path, 3, neap_a=2, neap_b=3, neap_c=1))
    assert answer["reloaded"] == ["neap_a", "neap_b"]


async def test_two_who_bring_the_same_file_at_a_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"))
        piece, content = a_zip("x = 1")
        for transfer in ("a" * 32, "b" * 32):
            assert await code.bring(piece, 0, content[:20], transfer) == {"status": "OK"}
        for transfer in ("a" * 32, "b" * 32):
            assert await code.bring(piece, 20, content[20:], transfer) == {"status": "OK"}
        assert code.lacking([piece]) == []
        assert [path.name for path in (tmp_path / "scheduler").iterdir()] == [f"{piece['sha256']}.zip"]


async def test_a_transfer_has_a_name_that_leads_nowhere(tmp_path: Path) -> None:
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"))
        piece, content = a_zip("x = 1")
        assert "can't be called" in (await code.bring(piece, 0, content, "../../out"))["refused"]


async def test_an_odd_archive_is_refused_in_words_that_reach_the_caller(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("passwords.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    content = buffer.getvalue()
    piece = {"file_name": "odd.zip", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    async with scheduler() as s:
        code = CodeAtScheduler(s, Unpacked(tmp_path / "scheduler"))
        await code.bring(piece, 0, content)
        answer = await code.use(by="ada", places=[piece], tops=[], contents={})
        assert "'passwords.py' in odd.zip is a link or a device" in answer["refused"]
        assert code.held()["round"] == 0
