"""Nothing on a host lives for longer than those count on who don't hear of it."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.host.bare.silence import (
    JOINS_S,
    LEFT_S,
    Silence,
    born_at,
    join,
    joined_at,
    lives_until,
    meet,
    since_boot,
    stamp_of,
)
from tradewind.host.meeting import EVERY_S, WITHIN_S
from tradewind.providers.ssh.known import SAVED_EVERY_S
from tradewind.providers.ssh.parcel import LATEST_S
from tradewind.providers.ssh.sight import gone_by

ENDING_S = 12.0
"""What a keeper, or a starter, takes to end all it has."""


@pytest.mark.parametrize(
    ("asked", "alone_s", "joined", "met", "until"),
    [
        (0.0, 600.0, None, None, 660.0),
        (0.0, 6.0, None, None, 12.0),
        (50.0, 600.0, 10.0, 20.0, 710.0),
        (50.0, 600.0, 10.0, 5000.0, 5000.0 + LEFT_S),
        (50.0, 600.0, 50.0 + JOINS_S, 5000.0, 5000.0 + LEFT_S),
        (50.0, 600.0, 51.0 + JOINS_S, 5000.0, 710.0),
    ],
)
def test_an_instance_lives_alone_for_a_fixed_time_or_as_long_as_it_is_with_its_scheduler(
    asked: float, alone_s: float, joined: float | None, met: float | None, until: float
) -> None:
    assert lives_until(asked, alone_s, joined, met) == until


seconds = st.integers(0, 1500)
lonely = st.sampled_from([1.0, 30.0, 600.0, 86400.0])


@given(
    alone_s=lonely,
    heard=seconds,
    unsaved=st.floats(0, SAVED_EVERY_S),
    late=st.floats(0, LATEST_S),
    was_seen=st.booleans(),
)
def test_what_is_given_up_has_ended_wherever_the_line_broke(
    alone_s: float, heard: float, unsaved: float, late: float, was_seen: bool
) -> None:
    """``heard`` is the last answer that the engine heard, or the giving of an order that nobody has seen there."""
    remembered = heard - unsaved if was_seen else heard
    asked = heard if was_seen else heard + late  # it is claimed when the order arrives
    assert lives_until(asked, alone_s) + ENDING_S <= gone_by(remembered, alone_s)


@settings(max_examples=500)
@given(
    alone_s=lonely,
    worker_heard=seconds,
    scheduler_heard=seconds,
    joins_after=seconds,
    leaves_after=seconds,
    unsaved=st.floats(0, SAVED_EVERY_S),
    blind=st.floats(0, 2 * EVERY_S + WITHIN_S),
)
def test_a_worker_that_only_its_scheduler_reaches_has_ended_when_it_is_given_up(
    alone_s: float,
    worker_heard: float,
    scheduler_heard: float,
    joins_after: float,
    leaves_after: float,
    unsaved: float,
    blind: float,
) -> None:
    """Two hosts fall silent, each at its time; between them all is well until one of their two ends."""
    scheduler_ends = lives_until(scheduler_heard, alone_s) + ENDING_S
    joined = worker_heard + joins_after
    met: float | None = min(joined + leaves_after, scheduler_ends)
    if joined > min(scheduler_ends, lives_until(worker_heard, alone_s) + ENDING_S):
        joined = met = None  # type: ignore[assignment]  # one of them had ended before
    ends = lives_until(worker_heard, alone_s, joined, met) + ENDING_S

    told = 0.0
    if met is not None and joined is not None and min(met, scheduler_heard) - blind >= joined:
        told = min(met, scheduler_heard) - blind  # the last meeting that the scheduler's host told of
    assert ends <= gone_by(max(worker_heard - unsaved, told), alone_s)


def test_only_what_was_heard_counts_and_nothing_of_the_future(tmp_path: Path) -> None:
    silence = Silence(str(tmp_path), "x", "boot")
    silence.heard(5.0)
    assert stamp_of(silence.path) is None, "nothing of theirs was ever started here"
    silence.begin()
    assert stamp_of(silence.path) == 0.0
    silence.heard(5.0)
    silence.heard(3.0)
    assert stamp_of(silence.path) == 5.0
    silence.heard(since_boot() + 1e6)
    assert stamp_of(silence.path) <= since_boot()
    Silence(str(tmp_path), "x", "boot").begin()
    assert stamp_of(silence.path) > 5.0, "who comes later forgets nothing"


def test_each_installation_and_each_run_of_the_machine_has_a_silence_of_its_own(tmp_path: Path) -> None:
    paths = {Silence(str(tmp_path), *names).path for names in (("x", "a"), ("x", "b"), ("../y", "a"))}
    assert len(paths) == 3
    assert {Path(path).parent for path in paths} == {tmp_path / "asked"}


def test_a_note_with_the_time_of_day_counts_as_none_and_is_mended(tmp_path: Path) -> None:
    silence = Silence(str(tmp_path), "x", "boot")
    silence.begin()
    os.utime(silence.path)
    age = since_boot() - born_at()
    assert "has heard of this host" in silence.words(min(age, 60) / 4, str(tmp_path))
    heard_at = since_boot()
    silence.heard(heard_at)
    assert stamp_of(silence.path) == pytest.approx(heard_at, abs=1e-6)
    assert silence.words(60.0, str(tmp_path)) == ""


def test_who_is_killed_while_it_makes_room_leaves_no_note_of_a_moment_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = Silence(str(tmp_path), "x", "boot")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "utime", killed)
    with pytest.raises(KeyboardInterrupt):
        silence.begin()
    monkeypatch.undo()
    assert stamp_of(silence.path) is None
    silence.begin()
    assert stamp_of(silence.path) == 0.0


def test_a_process_counts_from_its_birth_where_nobody_was_heard(tmp_path: Path) -> None:
    silence = Silence(str(tmp_path), "x", "boot")
    age = since_boot() - born_at()
    assert 0 < age < 86400
    assert silence.words(age, str(tmp_path)) == ""
    assert "has heard of this host" in silence.words(min(age, 60) / 4, str(tmp_path))
    silence.begin()
    silence.heard(since_boot())
    assert silence.words(1.0, str(tmp_path)) == ""


def test_a_worker_that_was_just_with_its_scheduler_lives_on(tmp_path: Path) -> None:
    silence = Silence(str(tmp_path), "x", "boot")
    silence.begin()
    silence.heard(since_boot() - 30)
    assert silence.words(1.0, str(tmp_path)) != ""
    join(str(tmp_path / "met"))
    meet(str(tmp_path / "met"), since_boot())
    assert joined_at(str(tmp_path / "met")) <= since_boot()
    assert silence.words(1.0, str(tmp_path)) == ""


def test_a_note_of_who_was_heard_needs_no_room_on_the_disk(tmp_path: Path) -> None:
    silence = Silence(str(tmp_path), "x", "boot")
    silence.begin()
    before = os.stat(silence.path)
    silence.heard(since_boot())
    after = os.stat(silence.path)
    assert (after.st_size, after.st_ino) == (0, before.st_ino)


def test_moments_go_on_with_the_clock_of_the_machine() -> None:
    one = since_boot()
    time.sleep(0.01)
    assert 0.01 <= since_boot() - one < 5
