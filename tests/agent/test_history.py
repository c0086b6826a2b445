"""What ran, as the page tells it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import dask
from distributed import Client, span
from distributed.metrics import context_meter

import tradewind.agent.history as history_module


async def test_a_span_is_told_with_its_groups_times_and_bytes(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        began = datetime.now(UTC)
        with span("science", "climatology") as span_id:
            pieces = client.map(_make, range(8), pure=False)
            total = client.submit(_total, pieces)
        await total
        page = await it.asker.page_when(
            lambda page: page.computations and "thread-noncpu" in _one(page).activity_seconds
        )
        computation = _one(page)
        assert (computation.id, computation.name, computation.done) == (span_id, "science / climatology", True)
        assert computation.cluster_id == "the-cluster"
        made, totalled = computation.groups
        assert (made.prefix, made.tasks, made.done, made.erred) == ("make", 8, 8, 0)
        assert (totalled.prefix, totalled.tasks, totalled.done) == ("total", 1, 1)
        assert 0.16 <= made.compute_seconds < 2
        assert 8000 <= made.nbytes < 9000
        assert computation.nbytes == made.nbytes + totalled.nbytes
        assert computation.started_at <= computation.stopped_at <= page.at
        # Of one thread: all that computed, and nothing from before it was asked for. Between the last piece and the
        # total nobody computes, which on a busy machine takes a while and is rightly left out.
        asked_for = (computation.stopped_at - began).total_seconds()
        assert made.compute_seconds - 0.01 < computation.active_cpu_seconds < asked_for + 0.01
        assert computation.workers == 1
        known = sum(seconds for name, seconds in computation.activity_seconds.items() if name != "idle")
        assert 0.16 <= known <= computation.active_cpu_seconds + 0.1


async def test_counts_stay_when_results_are_released(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        await client.gather(client.map(_make, range(5), pure=False))
        await it.until(lambda: not it.scheduler.tasks)
        (group,) = _one(await it.asker.page()).groups
        assert (group.tasks, group.done, group.erred) == (5, 5, 0)


async def test_an_error_is_told_with_its_text_and_without_its_secrets(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        with span("errors"):
            good = client.map(_make, range(3), pure=False)
            bad = client.submit(_fail, "postgresql://me:hunter2@db/x", key="_fail-1")
            hopeless = client.submit(_total, [bad], key="hopeless-1")
        await client.gather([*good, hopeless], errors="skip")
        computation = _one(await it.asker.page())
        assert computation.name == "errors"
        (error,) = computation.errors
        assert (error.key, error.prefix, error.worker) == ("_fail-1", "fail", "w0")
        assert error.exception == "ValueError('no postgresql://me:***@db/x')"
        assert "in _fail" in error.traceback
        assert "hunter2" not in error.traceback
        by_prefix = {group.prefix: (group.tasks, group.done, group.erred) for group in computation.groups}
        assert by_prefix == {"make": (3, 3, 0), "fail": (1, 0, 1), "hopeless": (1, 0, 1)}
        assert computation.erred == 2


async def test_a_failure_outlives_its_future(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        with span("fails") as span_id:
            future = client.submit(_fail, "x")
        await client.gather([future], errors="skip")
        del future
        await it.until(lambda: not it.scheduler.tasks)
        computation = _one(await it.asker.page())
        assert (computation.id, computation.done, computation.erred) == (span_id, True, 1)
        assert computation.started_at is not None
        assert computation.started_at <= computation.stopped_at
        assert computation.active_cpu_seconds >= 0


async def test_a_task_that_succeeds_when_retried_is_no_failure(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        future = client.submit(_fail_once, [], actor=False, key="once-1")
        await client.gather([future], errors="skip")
        it.workers[0].may_succeed = True
        await client.retry([future])
        await future
        (group,) = _one(await it.asker.page()).groups
        assert (group.tasks, group.done, group.erred) == (1, 1, 0)
        assert len(_one(await it.asker.page()).errors) == 1


async def test_errors_beyond_fifty_are_counted_but_not_told(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        futures = client.map(_fail, range(60), pure=False)
        await client.gather(futures, errors="skip")
        computation = _one(await it.asker.page())
        assert (computation.erred, len(computation.errors)) == (60, 50)


async def test_a_long_exception_is_cut(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        await client.gather([client.submit(_fail, "x" * 100_000)], errors="skip")
        (error,) = _one(await it.asker.page()).errors
        assert len(error.exception) <= 4000
        assert len(error.traceback) <= 4000


async def test_a_page_is_readable_whatever_a_task_says_of_itself(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        # One span, named: once the first of them has failed, what comes then would open another default one.
        with span("strange"):
            strange = [client.submit(_fail, "\udcff\x00"), client.submit(_Huge, 1), client.submit(_measure_nonsense)]
        await client.gather(strange, errors="skip")
        page = await it.asker.page_when(lambda page: "failed" in _one(page).activity_seconds)
        assert _one(page).errors[0].exception.startswith("ValueError(")
        assert _one(page).nbytes == 2**53
        assert "nonsense" not in _one(page).activity_seconds


async def test_many_long_errors_come_in_several_pages(rig, monkeypatch):
    monkeypatch.setattr(history_module, "PAGE_TEXT", 5000)
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        for n in range(3):
            await client.gather([client.submit(_fail, "x" * 9000, key=f"fail_{n}-1")], errors="skip")
        first = await it.asker.page()
        second = await it.asker.page(f"?since={first.cursor}")
        assert _one(first).id != _one(second).id


async def test_work_in_nested_spans_is_counted_once(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        with span("outer"):
            own = client.submit(_make, 1, key="own-1")
            with span("inner"):
                nested = client.map(_make, range(3), key=["nested-1", "nested-2", "nested-3"])
        with span("empty"), span("leaf"):
            leaf = client.submit(_make, 1, key="leaf-1")
        await client.gather([own, *nested, leaf])
        page = await it.asker.page()
        tasks = {computation.name: computation.tasks for computation in page.computations}
        assert tasks == {"outer": 1, "outer / inner": 3, "empty / leaf": 1}


async def test_a_running_span_is_told_as_running(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        future = client.submit(time.sleep, 1.0)
        page = await it.asker.page_when(lambda page: page.computations and _one(page).started_at is not None)
        computation = _one(page)
        assert (computation.done, computation.stopped_at) == (False, None)
        await future


async def test_only_what_changed_since_the_cursor_is_told(rig):
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        await client.submit(_make, 1, pure=False)
        first = await it.asker.page_when(lambda page: page.computations)
        # Metrics come with heartbeats after the task, and are changes too: ask until there are no more.
        cursor = first.cursor
        while (page := await it.asker.page(f"?since={cursor}")).computations:
            assert {computation.id for computation in page.computations} == {_one(first).id}
            assert page.cursor > cursor
            cursor = page.cursor
        await client.submit(_make, 2, pure=False)
        second = await it.asker.page(f"?since={cursor}")
        new = {computation.id for computation in second.computations} - {_one(first).id}
        assert len(new) == 1
        assert len((await it.asker.page("?since=0")).computations) == 2
        assert len((await it.asker.page("?since=999999")).computations) == 2


async def test_a_long_list_of_changes_comes_in_several_pages(rig, monkeypatch):
    monkeypatch.setattr(history_module, "PAGE_COMPUTATIONS", 2)
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        for n in range(5):
            with span(f"s{n}"):
                future = client.submit(_make, n, key=f"make_{n}-1")
            await future
        names, cursor = [], 0
        while (page := await it.asker.page(f"?since={cursor}")).computations and len(names) < 20:
            names += [computation.name for computation in page.computations]
            cursor = page.cursor
        assert sorted(set(names)) == ["s0", "s1", "s2", "s3", "s4"]


async def test_a_settled_span_that_works_again_is_told_again(rig, monkeypatch):
    monkeypatch.setattr(history_module, "SETTLE_SECONDS", 0.0)
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        with span("again") as span_id:
            await client.submit(_make, 1, pure=False)
            await it.until(lambda: it.agent._history.poll() or span_id not in it.agent._history._live)
            first = _one(await it.asker.page())
            await asyncio.sleep(1.0)
            await client.submit(_total, [], pure=False)
        second = _one(await it.asker.page())
        assert (first.id, first.tasks, second.id, second.tasks) == (span_id, 1, span_id, 2)
        # The pause between the two is nobody's work.
        assert second.active_cpu_seconds < first.active_cpu_seconds + 0.5


async def test_a_task_that_joins_a_finished_group_is_counted(rig, monkeypatch):
    monkeypatch.setattr(history_module, "SETTLE_SECONDS", 0.0)
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        held = client.submit(_make, 1, pure=False)
        await held
        await it.until(lambda: it.agent._history.poll() or not it.agent._history._live)
        first = _one(await it.asker.page())
        await asyncio.sleep(1.0)
        also_held = client.submit(_make, 2, pure=False)
        await also_held
        second = _one(await it.asker.page())
        assert (first.id, first.tasks, second.tasks) == (second.id, 1, 2)
        assert second.active_cpu_seconds < first.active_cpu_seconds + 0.5


async def test_a_lost_result_that_is_made_anew_opens_its_span_again(rig, monkeypatch):
    monkeypatch.setattr(history_module, "SETTLE_SECONDS", 0.0)
    async with rig(workers=2) as it, Client(it.scheduler.address, asynchronous=True) as client:
        with span("lost") as span_id:
            future = client.submit(time.sleep, 0.5, workers=["w0"], allow_other_workers=True)
        await future
        await it.until(lambda: it.agent._history.poll() or span_id not in it.agent._history._live)
        await it.workers[0].close()
        await it.asker.page_when(lambda page: not _one(page).done)
        page = await it.asker.page_when(lambda page: _one(page).done)
        (group,) = _one(page).groups
        assert (group.tasks, group.done) == (1, 1)
        assert group.compute_seconds >= 1.0


async def test_code_is_kept_if_asked_for_and_without_its_secrets(rig):
    source = _compute_with_a_password
    for record_code, expected in [(False, 0), (True, 1)]:
        async with rig(record_code=record_code) as it, Client(it.scheduler.address, asynchronous=True) as client:
            with dask.config.set({"distributed.diagnostics.computations.nframes": 1}):
                await source(client)
            code = _one(await it.asker.page()).code
            assert len(code) == expected
            assert not any("hunter2" in snippet for snippet in code)
            assert all("def _compute_with_a_password" in snippet for snippet in code)


def test_of_a_long_file_the_part_around_the_line_is_kept():
    lines = [f"line {n}" for n in range(10_000)]
    kept = history_module._around("\n".join(lines), 5000)
    assert len(kept) == history_module.SNIPPET_LIMIT
    assert "line 5000\n" in kept
    assert "line 1\n" not in kept


async def test_without_history_nothing_is_told(rig):
    async with rig(record_history=False) as it, Client(it.scheduler.address, asynchronous=True) as client:
        await client.submit(_make, 1)
        page = await it.asker.page()
        assert (page.computations, page.cursor) == ((), 0)


async def test_the_oldest_computations_are_dropped_beyond_the_limit(rig, monkeypatch):
    monkeypatch.setattr(history_module, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(history_module, "KEPT_COMPUTATIONS", 3)
    async with rig() as it, Client(it.scheduler.address, asynchronous=True) as client:
        for n in range(6):
            with span(f"s{n}"):
                future = client.submit(_make, n, key=f"make_{n}-1")
            await future
        names = ("s3", "s4", "s5")
        await it.asker.page_when(lambda page: tuple(c.name for c in page.computations) == names)


async def _compute_with_a_password(client):
    connection = dict(password="hunter2")
    return await client.submit(_make, len(connection), pure=False)


def _one(page):
    (computation,) = page.computations
    return computation


def _make(n):
    time.sleep(0.02)
    return bytes(1000)


class _Huge:
    def __init__(self, _):
        pass

    def __sizeof__(self):
        return 2**62


def _measure_nonsense():
    time.sleep(0.05)
    for value in (float("inf"), float("nan"), -1.0):
        context_meter.digest_metric("nonsense", value, "seconds")


def _total(pieces):
    return sum(map(len, pieces))


def _fail(why):
    raise ValueError(f"no {why}")


def _fail_once(_):
    from distributed import get_worker

    if not hasattr(get_worker(), "may_succeed"):
        raise ValueError("not yet")
