"""A status page comes from where users run their own code: what isn't one is refused, what is too long is cut."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewind.errors import BadRequest
from tradewind.model.status import StatusPage
from tradewind.wire import ITEM_LIMITS, NUMBER_LIMIT, SHORT_STRING_LIMIT, STRING_LIMIT, dump, parse_status_page

AT = "2026-11-01T12:00:00+00:00"
COMPUTATION = {
    "id": "a1",
    "cluster_id": "the-cluster",
    "name": "science",
    "started_at": AT,
    "stopped_at": None,
    "done": False,
    "groups": [
        {
            "prefix": "mean",
            "tasks": 3,
            "done": 1,
            "erred": 1,
            "compute_seconds": 1.5,
            "transfer_seconds": 0.5,
            "disk_seconds": 0,
            "nbytes": 10,
        }
    ],
    "activity_seconds": {"thread-cpu": 1.0},
    "active_cpu_seconds": 2.0,
    "nbytes": 10,
    "code": ["x = 1"],
    "errors": [{"at": AT, "key": "k", "prefix": "mean", "exception": "E", "traceback": "T", "worker": None}],
    "workers": 2,
}
WORKER = {
    "name": "w0",
    "address": "tls://127.0.0.1:1",
    "status": "running",
    "threads": 1,
    "memory_limit": 0,
    "memory": 1,
    "spilled": 0,
    "cpu": 2.5,
    "processing": 0,
}
PAGE = {"at": AT, "workers": [WORKER], "clients": 1, "idle_seconds": 1.5, "computations": [COMPUTATION], "cursor": 7}


def parse(data) -> StatusPage:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return parse_status_page(text, "the-cluster")


def with_value(path, value):
    """Return the page with ``value`` at ``path``."""
    page = json.loads(json.dumps(PAGE))
    *way, last = path
    place = page
    for step in way:
        place = place[step]
    place[last] = value
    return page


def paths(data, path=()):
    """Yield the way to each value of the page."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*path, key))


def test_an_honest_page_is_read_as_it_is():
    page = parse(PAGE)
    assert page.at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert page.computations[0].groups[0].compute_seconds == 1.5
    assert page.workers[0].cpu == 2.5
    assert parse(dump(page)) == page


def test_the_cluster_is_the_one_that_was_asked():
    page = parse(with_value(("computations", 0, "cluster_id"), "somebody-elses"))
    assert page.computations[0].cluster_id == "the-cluster"


def test_times_are_in_utc():
    assert parse(with_value(("at",), "2026-11-01T14:00:00+02:00")).at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("path", list(paths(PAGE)), ids=str)
def test_a_wrong_value_is_refused_or_harmless(path):
    for value in [-1, 2**63, True, {}, [[]], "-1", "x", math.nan, math.inf, -0.5, 1.5, None]:
        try:
            page = parse(with_value(path, value))
        except BadRequest:
            continue
        assert_tame(page)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("clients",), -1),
        (("clients",), True),
        (("clients",), "1"),
        (("clients",), 1.5),
        (("cursor",), 2**63),
        (("idle_seconds",), math.nan),
        (("idle_seconds",), math.inf),
        (("idle_seconds",), -0.1),
        (("at",), 0),
        (("at",), "2026-11-01T12:00:00"),
        (("at",), "9999-12-31T23:59:59-23:00"),
        (("workers", 0, "name"), 1),
        (("workers",), {}),
        (("computations", 0, "done"), 1),
        (("computations", 0, "activity_seconds", "thread-cpu"), -1),
        (("computations", 0, "groups", 0, "nbytes"), -1),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(path, value):
    with pytest.raises(BadRequest):
        parse(with_value(path, value))


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"at":' * 10_000, b'{"at":"\\ud800"}', b"9" * 10_000],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_page_is_refused(text):
    with pytest.raises(BadRequest):
        parse(text)


def test_long_texts_are_cut():
    page = parse(with_value(("computations", 0, "code"), ["x" * 100_000]))
    assert len(page.computations[0].code[0]) == STRING_LIMIT
    page = parse(with_value(("computations", 0, "name"), "x" * 100_000))
    assert len(page.computations[0].name) == SHORT_STRING_LIMIT


@pytest.mark.parametrize("name", ["errors", "code", "groups", "activity_seconds"])
def test_long_lists_are_cut(name):
    item = next(iter(COMPUTATION[name].values())) if name == "activity_seconds" else COMPUTATION[name][0]
    many = {str(n): item for n in range(1500)} if name == "activity_seconds" else [item] * 1500
    page = parse(with_value(("computations", 0, name), many))
    assert len(getattr(page.computations[0], name)) == ITEM_LIMITS[name]


@pytest.mark.parametrize("text", ["\x1b[2J", "\x00", "\x9b31m", "\r", "\x07"])
def test_what_could_drive_a_terminal_or_break_a_database_is_replaced(text):
    page = parse(with_value(("computations", 0, "name"), f"a{text}b\n\tü漢🌍"))
    name = page.computations[0].name
    assert name.startswith("a\ufffd")
    assert name.endswith("b\n\tü漢🌍")


def test_a_refusal_does_not_pass_on_what_a_stranger_wrote():
    with pytest.raises(BadRequest) as caught:
        parse(with_value(("computations", 0, "activity_seconds"), {"\x1b[2J" + "x" * 10_000: "no number"}))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) <= 500


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(AT),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(list(paths(PAGE))), json_values), min_size=1, max_size=3))
def test_whatever_is_in_it_the_answer_is_a_tame_page_or_a_refusal(changes):
    page = json.loads(json.dumps(PAGE))
    for (*way, last), value in changes:
        place = page
        try:
            for step in way:
                place = place[step]
            place[last] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    try:
        parsed = parse(page)
    except BadRequest:
        return
    assert_tame(parsed)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_noise_is_refused(text):
    with pytest.raises(BadRequest):
        parse(text)


def assert_tame(value):
    """Check that a parsed page holds nothing a store or a terminal could choke on."""
    match value:
        case str():
            assert len(value) <= STRING_LIMIT
            assert all(character.isprintable() or character.isspace() for character in value if character < "\xa0")
            value.encode()
        case bool() | None:
            pass
        case int() | float():
            assert 0 <= value <= NUMBER_LIMIT
        case datetime():
            assert value.utcoffset() == timedelta(0)
        case tuple():
            assert len(value) <= max(ITEM_LIMITS.values())
            for item in value:
                assert_tame(item)
        case dict():
            assert_tame(tuple(value))
            assert_tame(tuple(value.values()))
        case _:
            assert is_dataclass(value)
            for field in fields(value):
                assert_tame(getattr(value, field.name))
