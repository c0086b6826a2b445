"""Files that people write, with anything in them: what is wrong is named, and nothing meets the advisor unread."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.advisor.asking import TODAY
from tradewind.advisor import reading
from tradewind.advisor.fact import FieldType
from tradewind.advisor.programme import read_programme
from tradewind.advisor.shelf import open_reader, open_shelf, read_toml
from tradewind.errors import BadRequest, ConfigError

READER = open_reader()
SCALARS: st.SearchStrategy[Any] = (
    st.sampled_from(["", "active", "any", "2I-1", "money", "?", "500 TB/month", "10 h/month", "Kenya", "x" * 300])
    | st.integers(-(10**18), 10**18)
    | st.sampled_from([Decimal("NaN"), Decimal("-Infinity"), Decimal("1E+999999"), Decimal("0.5"), Decimal(-1)])
    | st.booleans()
    | st.sampled_from([date(1, 1, 1), date(2026, 11, 23), date(9999, 12, 31), time(10, 30)])
    | st.sampled_from([datetime(2026, 11, 23, tzinfo=UTC)])
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "source", "text", "up_to", "fixed", "each", "use_up_to"]), inner, max_size=3
        )
    ),
    max_leaves=4,
)
"""Whatever a TOML file may hold."""
SOMEWHERE: dict[str, Any] = {
    "id": "somewhere",
    "name": "Somewhere",
    "kind": "platform",
    "operator": "Somebody",
    "what": "A place.",
    "read": date(2026, 11, 23),
    "interest": [],
    "facts": {"status": {"value": "active", "source": "2I-1"}},
    "remarks": [{"text": "It rains.", "source": "2I-1", "against": True}],
}
FACT_FIELDS = st.sampled_from(["status", "exit", "clouds", "fee_per_month", "countries", "funded_until", "price"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(reading.PARTNER_KEYS)), ANYTHING, min_size=1, max_size=2))
def test_a_file_of_the_directory_with_anything_under_its_keys_is_read_or_told_its_faults(wrong: dict[str, Any]) -> None:
    read, faults = READER.judged(SOMEWHERE | wrong, "somewhere.toml")

    assert read is not None or faults


@settings(max_examples=300, deadline=None)
@given(FACT_FIELDS, st.dictionaries(st.sampled_from(sorted(reading.FACT_KEYS)), ANYTHING, min_size=1, max_size=2))
def test_a_fact_with_anything_in_it_is_read_or_told_its_faults(field: str, wrong: dict[str, Any]) -> None:
    fact = {"value": "active", "source": "2I-1"} | wrong
    held = SOMEWHERE | {"facts": SOMEWHERE["facts"] | {field: fact}, "remarks": [{"text": "It rains."} | wrong]}

    read, faults = READER.judged(held, "somewhere.toml")

    assert read is not None or faults
    if read is not None and not faults:
        assert all(len(fact.shown) < 1000 for fact in read.facts.values())


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([question.id for question in open_shelf().questionnaire.questions]), ANYTHING, max_size=3
    )
)
def test_answers_that_hold_anything_are_read_or_the_question_is_named(wrong: dict[str, Any]) -> None:
    read: dict[str, Any] = {}
    fault = ""
    try:
        read = open_shelf().questionnaire.read(wrong, today=TODAY)
    except BadRequest as error:
        fault = str(error)

    open_shelf().rules.check(read)
    assert set(read) <= set(wrong)
    assert not fault or any(name in fault for name in wrong)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["name", "read_per_person", "notebooks_per_person", "storage", "egress", "country", "people"]),
        ANYTHING,
        max_size=3,
    )
)
def test_a_programme_that_holds_anything_is_read_or_the_line_is_named(wrong: dict[str, Any]) -> None:
    with contextlib.suppress(BadRequest):
        read_programme({"people": 3, "read_per_person": "1 TB/month"} | wrong, "file")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b'hub = 1\nname = "Universit\xe9"\n', "answers.toml can't be read: line 2 has a letter that isn't UTF-8"),
        (b"\xff\xfeh\x00u\x00b\x00", "answers.toml can't be read: line 1 has a letter that isn't UTF-8"),
        (b"hub = \n", "answers.toml can't be read: .*line 1"),
        (b"hub = " + b"[" * 5000, "answers.toml can't be read: "),
        (b"people = " + b"9" * 5000, "answers.toml can't be read: "),
        (b"until = 2026-13-45", "answers.toml can't be read: "),
    ],
)
def test_a_file_that_cant_be_read_is_named_with_the_line(tmp_path: Path, written: bytes, words: str) -> None:
    file = tmp_path / "answers.toml"
    file.write_bytes(written)

    with pytest.raises(ConfigError, match=words):
        read_toml(file)


def test_a_file_that_an_editor_marked_as_utf_8_is_read(tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_bytes(b'\xef\xbb\xbfhub = "must"\r\n')

    assert read_toml(file) == {"hub": "must"}


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        read_toml(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"facts": 5}, "'facts' is 5, which is no table"),
        ({"remarks": ["wet"]}, "'remarks' is ['wet'], which is no list of tables"),
        ({"interest": "none"}, "'interest' is 'none', which is no list of words"),
        ({"id": 7}, "'id' is 7, which is no text"),
        ({"read": datetime(2026, 11, 23, tzinfo=UTC)}, "which is no date"),
        ({"read": date(9999, 12, 31)}, "which is no date"),
        ({"facts": {"exit": {"value": Decimal(99), "source": "2I-1"}}}, "exit is 99: it is to be a number from 0 to 5"),
        ({"facts": {"wait_days": {"value": Decimal("NaN"), "source": "2I-1"}}}, "wait_days is NaN: it is to be"),
        (
            {"facts": {"fee_per_month": {"value": Decimal("1E+999999"), "source": "2I-1"}}},
            "fee_per_month is 1E+999999: ",
        ),
        ({"facts": {"fee_per_month": {"value": [{"up_to": 10**15, "fixed": 1}], "source": "2I-1"}}}, "up_to of step 1"),
        ({"facts": {"exit": {"value": 3, "source": ["2I-1"]}}}, "exit: 'source' is ['2I-1'], which is no text"),
        ({"facts": {"exit": {"value": 3, "source": "2I-1", "unsure": 3}}}, "exit: 'unsure' is 3, which is no list"),
        ({"remarks": [{"text": 5, "source": "2I-1"}]}, "remark 1: 'text' is 5, which is no text"),
        ({"remarks": [{"text": "x", "against": "yes", "source": "2I-1"}]}, "which is neither true nor false"),
    ],
)
def test_what_isnt_of_its_kind_is_said(change: dict[str, Any], words: str) -> None:
    faults = READER.judged(SOMEWHERE | change, "somewhere.toml")[1]

    assert any(words in fault for fault in faults), faults


def test_every_number_of_a_scale_has_its_end() -> None:
    open_ended = [
        field.name
        for field in READER.fields.values()
        if field.type is FieldType.NUMBER and field.unit.startswith("of ") and field.most is None
    ]

    assert open_ended == []
