"""What is made of what a host says, and of what it doesn't."""

import os
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.model.instance import InstanceStatus, Marks, Role
from tradewind.providers.ssh.inventory import Share
from tradewind.providers.ssh.known import Known, Memory, Placed
from tradewind.providers.ssh.sight import (
    last_seen,
    met_by_schedulers,
    never_ran,
    never_seen,
    nonsense,
    observed,
    shares,
    with_crews,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KILLED = "its keeper process was killed, so nobody saw how it ended"
CONTACT = {"scheduler": "tls://ws1:1", "agent": "https://ws1:2", "dashboard": None}


def facts(role: Role = Role.WORKER, **changed: Any) -> dict[str, Any]:
    marks = Marks(installation="x", workspace="w", cluster="c", instance="i", order="o-1", role=role)
    claim = {"marks": asdict(marks), "pid": 1, "birth": "b", "host": "h", "boot": "b", "started_at": NOW.isoformat()}
    share = {"cpus": 2, "memory": 100, "gpus": [1], "alone_s": 600.0}
    return {
        "claim": claim | share,
        "alive": True,
        "same_boot": True,
        "exit": None,
        "contact": None,
        "notes": [],
        "progress": "",
    } | changed


def exited(detail: str = "ended by itself") -> dict[str, Any]:
    return {"stopped_at": (NOW + timedelta(hours=1)).isoformat(), "exit_code": 0, "detail": detail}


@pytest.mark.parametrize(
    ("said", "status", "detail"),
    [
        (facts(), InstanceStatus.STARTING, "on ws1"),
        (facts(progress="getting uv"), InstanceStatus.STARTING, "on ws1: getting uv"),
        (facts(progress="starting Dask", notes=["ready"]), InstanceStatus.RUNNING, "on ws1"),
        (facts(Role.SCHEDULER, contact=CONTACT), InstanceStatus.RUNNING, "on ws1"),
        (facts(notes=["ready", "stopping"]), InstanceStatus.STOPPING, "on ws1"),
        (facts(exit=exited(), alive=False), InstanceStatus.STOPPED, "on ws1: ended by itself"),
        (facts(exit=exited(), alive=True), InstanceStatus.STOPPED, "on ws1: ended by itself"),
        (facts(alive=False), InstanceStatus.STOPPED, f"on ws1: {KILLED}"),
        (facts(alive=False, same_boot=False), InstanceStatus.STOPPED, "on ws1: the host was restarted while it ran"),
    ],
)  # fmt: skip
def test_a_run_is_seen_as_its_host_says(said: dict[str, Any], status: InstanceStatus, detail: str) -> None:
    seen = observed("ws1", said, 0.0)
    assert (seen.handle, seen.status, seen.detail, seen.started_at) == ("ws1/o-1", status, detail, NOW)


def claimed(**changed: Any) -> dict[str, Any]:
    said = facts()
    return said | {"claim": said["claim"] | changed}


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"claim": [1], "alive": True, "exit": None},
        facts() | {"claim": {"pid": 1}},
        claimed(marks=[]),
        claimed(marks={"role": "worker"}),
        claimed(marks=facts()["claim"]["marks"] | {"role": "spy"}),
        claimed(marks=facts()["claim"]["marks"] | {"more": 1}),
        claimed(pid=float("inf")),
        claimed(started_at="soon"),
        claimed(started_at="2026-01-02T03:04:05"),
        claimed(cpus="all"),
        claimed(memory=float("inf")),
        claimed(memory=float("nan")),
        claimed(gpus=3),
        claimed(alone_s="for ever"),
        claimed(alone_s=float("nan")),
        claimed(alone_s=-1e300),
        facts(exit="", alive=False),
        facts(exit={}, alive=True),
        facts(exit=exited() | {"stopped_at": "2026-01-02T03:04:05"}),
        facts(exit=exited() | {"exit_code": 10**30}),
        facts(notes=1),
        facts(Role.SCHEDULER, contact=["x"]),
        facts(Role.SCHEDULER, contact=CONTACT | {"agent": 1}),
    ],
)
def test_what_can_not_be_a_runs_facts_is_told_from_what_can(said: Any) -> None:
    assert nonsense(said)


@pytest.mark.parametrize(
    "said", [facts(), facts(Role.SCHEDULER, contact=CONTACT), facts(exit=exited(), alive=False), claimed(alone_s=None)]
)
def test_what_a_station_says_makes_sense(said: dict[str, Any]) -> None:
    assert nonsense(said) == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from([*facts(), *(f"claim.{key}" for key in facts()["claim"])]), json_values, st.booleans())
def test_what_makes_sense_can_be_made_use_of_whoever_wrote_it(place: str, value: Any, is_alive: bool) -> None:
    said = facts(alive=is_alive, exit=None if is_alive else exited())
    of, _, key = place.partition(".")
    said[of] = said[of] | {key: value} if key else value
    if nonsense(said):
        return
    seen = observed("ws1", said, 30.0)
    for now in (0.0, 1e9, 1e10):
        last_seen(seen, said, 1000.0, 0.0, "ws1 is away", now)
    list(met_by_schedulers(Known(answered_at=1000.0, skew_s=30.0, runs={"o-1": said})))
    never_ran(said)
    shares({"o-1": said})


def test_times_are_told_by_our_clock() -> None:
    seen = observed("ws1", facts(exit=exited(), alive=False), 90.0)
    assert seen.started_at == NOW - timedelta(seconds=90)
    assert seen.stopped_at == NOW + timedelta(hours=1, seconds=-90)


def test_what_a_silent_host_had_stays_until_it_must_have_ended_and_is_billed_to_that_moment() -> None:
    said = facts(notes=["ready"])
    seen = observed("ws1", said, 0.0)
    answered_at = NOW.timestamp() + 100
    early = last_seen(seen, said, answered_at, 0.0, "ws1 is away", answered_at + 959)
    assert (early.status, early.detail, early.stopped_at) == (InstanceStatus.RUNNING, "ws1 is away", None)
    late = last_seen(seen, said, answered_at, 0.0, "ws1 is away", answered_at + 2000)
    assert late.status is InstanceStatus.STOPPED
    assert late.stopped_at == NOW + timedelta(seconds=100 + 960)
    assert late.detail.startswith("ws1 is away; it hasn't answered since 2026-01-02 03:05 UTC")


def test_a_worker_that_its_scheduler_meets_counts_as_alive_for_as_long() -> None:
    said = facts(notes=["ready"])
    seen = observed("ws1", said, 0.0)
    start = NOW.timestamp()
    met = last_seen(seen, said, start, start + 5000, "ws1 is away", start + 5010)
    assert (met.status, met.detail) == (InstanceStatus.RUNNING, "ws1 is away; its scheduler reaches it")
    left = last_seen(seen, said, start, start + 5000, "ws1 is away", start + 5959)
    assert (left.status, left.detail) == (InstanceStatus.RUNNING, "ws1 is away")
    gone = last_seen(seen, said, start, start + 5000, "ws1 is away", start + 5960)
    assert gone.stopped_at == NOW + timedelta(seconds=5960)


@pytest.mark.parametrize("crew", [None, [], {"i": "x"}, "i"])
def test_a_crew_that_makes_no_sense_is_none(crew: Any) -> None:
    assert not list(met_by_schedulers(Known(answered_at=1e3, runs={"o": facts(Role.SCHEDULER, crew=crew)})))


def test_when_a_scheduler_met_its_workers_is_told_by_our_clock() -> None:
    runs = {"o": facts(Role.SCHEDULER, crew={"i": 100}), "p": facts(crew={"j": 100})}
    assert list(met_by_schedulers(Known(answered_at=90.0, skew_s=30.0, runs=runs))) == [(("c", "i"), 70.0)]


ENDED = {"alive": False, "exit": None}


@pytest.mark.parametrize(
    ("at", "scheduler", "met_at"),
    [
        (1e6, {}, [1000.0]),
        (float("inf"), {}, [1000.0]),
        (10**400, {}, [1000.0]),
        (float("nan"), {}, []),
        (float("-inf"), {}, []),
        (-(10**400), {}, []),
        ("soon", {}, []),
        (990, ENDED, [960.0]),
        (1031, ENDED, [1000.0]),
        (1e6, ENDED, []),
        (float("inf"), ENDED, []),
        (float("inf"), {"exit": exited()}, []),
    ],
)
def test_nobody_is_met_later_than_the_host_that_says_so_answered(
    at: Any, scheduler: dict[str, Any], met_at: list[float]
) -> None:
    runs = {"o": facts(Role.SCHEDULER, crew={"i": at}, **scheduler)}
    known = Known(answered_at=1000.0, skew_s=30.0, runs=runs)
    assert [at for _, at in met_by_schedulers(known)] == met_at


def test_whom_a_scheduler_met_stays_known_while_it_is_written_anew() -> None:
    before = with_crews({"o": facts(Role.SCHEDULER, crew={"i": 100})}, {})
    torn = with_crews({"o": facts(Role.SCHEDULER, crew=None, progress="x"), "p": facts(crew=None)}, before)
    assert (torn["o"]["crew"], torn["o"]["progress"], torn["p"]["crew"]) == ({"i": 100}, "x", None)
    assert with_crews({"o": facts(Role.SCHEDULER, crew={"i": 110})}, torn)["o"]["crew"] == {"i": 110}
    assert with_crews({}, torn) == {}


def test_one_that_may_live_alone_for_longer_is_waited_for_longer() -> None:
    said = facts()
    said["claim"]["alone_s"] = 86400.0
    seen = observed("ws1", said, 0.0)
    assert last_seen(seen, said, 0.0, 0.0, "away", 86400.0).status is InstanceStatus.STARTING


@pytest.mark.parametrize(("is_taken", "status"), [(True, InstanceStatus.STARTING), (False, InstanceStatus.PENDING)])
def test_an_order_that_nobody_has_seen_on_its_host_is_billed_at_once_or_when_given_up(
    is_taken: bool, status: InstanceStatus
) -> None:
    marks = Marks(installation="x", workspace="w", cluster="c", instance="i", order="o-1", role=Role.WORKER)
    placed = Placed(host="ws1", at=NOW.timestamp(), marks=marks, is_taken=is_taken)
    early = never_seen("o-1", placed, marks, 0.0, "ws1 is away", NOW.timestamp() + 959)
    assert (early.handle, early.status) == ("ws1/o-1", status)
    assert early.started_at == (NOW if is_taken else None)
    late = never_seen("o-1", placed, marks, 0.0, "ws1 is away", NOW.timestamp() + 960)
    assert (late.status, late.started_at) == (InstanceStatus.STOPPED, NOW)
    assert late.stopped_at == NOW + timedelta(seconds=960)


def test_the_dead_of_a_silent_host_stay_as_they_were() -> None:
    said = facts(exit=exited(), alive=False)
    seen = observed("ws1", said, 0.0)
    assert last_seen(seen, said, 0.0, 0.0, "away", 1e9) is seen


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        (facts(), False),
        (facts(exit=exited("no space"), alive=False), True),
        (facts(alive=False), True),
        (facts(exit=exited("was asked to end"), alive=False), False),
        (facts(exit=exited(), alive=False, notes=["ready"]), False),
        (facts(Role.SCHEDULER, exit=exited(), alive=False, contact=CONTACT), False),
    ],
)
def test_a_host_is_suspected_for_what_ended_before_it_ran(said: dict[str, Any], is_so: bool) -> None:
    assert never_ran(said) is is_so


def test_only_the_living_take_room() -> None:
    runs = {"a": facts(), "b": facts(), "c": facts(alive=False), "d": facts(exit=exited())}
    assert shares(runs) == Share(cpus=4, memory=200, gpus=2)


def test_an_order_is_placed_on_one_host_whoever_is_first(tmp_path: Path) -> None:
    one, other = Memory(tmp_path), Memory(tmp_path)
    ws1, ws2 = Placed(host="ws1", at=1.0), Placed(host="ws2", at=2.0)
    assert (one.place("o-1", ws1), other.place("o-1", ws2)) == ("ws1", "ws1")
    assert other.place_of("o-1") == "ws1"
    other.unplace("o-1")
    assert one.place_of("o-1") == ""
    assert one.place("o-1", ws2) == "ws2"


def test_another_process_knows_what_was_placed_and_taken(tmp_path: Path) -> None:
    marks = Marks(installation="x", workspace="w", cluster="c", instance="i", order="o-1", role=Role.WORKER)
    placed = Placed(host="ws1", at=5.0, marks=marks, alone_s=60.0)
    Memory(tmp_path).place("o-1", placed)
    assert Memory(tmp_path).placed_since(0.0) == {"o-1": placed}
    Memory(tmp_path).take("o-1", placed)
    assert Memory(tmp_path).placed("o-1") == replace(placed, is_taken=True)


def test_an_order_is_read_again_only_where_another_is_in_its_place(tmp_path: Path) -> None:
    memory, placed = Memory(tmp_path), Placed(host="ws1", at=5.0)
    for name in ("o-1", "o-2"):
        memory.place(name, placed)
    assert memory.placed_since(0.0) == {"o-1": placed, "o-2": placed}

    for path in (tmp_path / "orders").iterdir():
        stat = path.stat()
        path.write_text("written over where it stands, by nobody of us")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    Memory(tmp_path).take("o-2", placed)

    assert memory.placed_since(0.0) == {"o-1": placed, "o-2": replace(placed, is_taken=True)}
    memory.unplace("o-1")
    assert set(memory.placed_since(0.0)) == {"o-2"}


def test_an_order_that_an_older_version_placed_is_still_bound_to_its_host(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "o-1").write_text("ws1")
    placed = Memory(tmp_path).placed("o-1")
    assert placed is not None
    assert (placed.host, placed.marks) == ("ws1", None)


def test_another_process_remembers_what_was_alive(tmp_path: Path) -> None:
    runs = {"o-1": facts(), "o-2": facts(alive=False)}
    Memory(tmp_path).save("ws1", Known(answered_at=100.0, skew_s=3.0, runs=runs))
    assert Memory(tmp_path).load("ws1") == Known(answered_at=100.0, skew_s=3.0, runs={"o-1": runs["o-1"]})
    assert Memory(tmp_path).load("ws2") == Known()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": "x"}', '{"at": 1}'])
def test_a_broken_memory_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "ws1.json").write_text(text)
    assert Memory(tmp_path).load("ws1") == Known()
