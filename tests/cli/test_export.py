"""What is taken elsewhere: usage by several keys, as tables, and everything."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tradewind import wire
from tradewind.store.archive import NOUNS

pytestmark = pytest.mark.usefixtures("life")
Ask = Callable[..., Any]


def amount(cost: Any) -> Decimal:
    return sum((Decimal(money["amount"]) for money in cost["money"]), Decimal(0))


def test_usage_is_shown_by_several_keys_and_still_adds_up(ask: Ask, run: Run) -> None:
    report = ask("usage", "show", "--by", "user,tag:project, role,computation")
    assert report["by"] == "user,tag:project,role,computation"
    assert {line["keys"][1] for line in report["lines"]} == {"[red]ice"}
    assert {line["keys"][2] for line in report["lines"]} == {"scheduler", "worker"}
    assert sum(amount(line["cost"]) for line in report["lines"]) == amount(report["total"])
    assert amount(report["total"]) == amount(ask("usage", "show")["total"])
    shown = run("usage", "show", "--by", "role,computation").stdout
    assert "role · computation" in shown
    assert "worker · well" in shown


def test_a_key_nobody_knows_is_named_with_those_there_are(run: Run) -> None:
    result = run("usage", "show", "--by", "user,week")
    assert result.exit_code == 2
    assert "vm_type" in result.output


def test_usage_is_written_as_focus_and_replaces_an_older_file(ask: Ask, run: Run, tmp_path: Path) -> None:
    to = tmp_path / "usage.csv"
    to.write_text("old")
    result = run("usage", "export", "-o", str(to))
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(to.read_text().splitlines()))
    assert sum(Decimal(row["BilledCost"]) for row in rows) == amount(ask("usage", "show")["total"])
    assert {json.loads(row["Tags"])["project"] for row in rows} == {"[red]ice"}
    assert list(tmp_path.iterdir()) == [to]


@pytest.mark.parametrize(("what", "begins"), [("csv", b"cluster_id,"), ("focus-parquet", b"PAR1")])
def test_usage_is_written_in_the_format_asked_for(run: Run, tmp_path: Path, what: str, begins: bytes) -> None:
    to = tmp_path / "usage"
    result = run("usage", "export", "--format", what, "--since", "7d", "-o", str(to))
    assert result.exit_code == 0, result.output
    assert to.read_bytes().startswith(begins)


def test_everything_is_written_as_a_zip_and_as_a_directory(run: Run, tmp_path: Path) -> None:
    packed, directory = tmp_path / "all.zip", tmp_path / "all"
    for where in (packed, directory):
        result = run("export", str(where))
        assert result.exit_code == 0, result.output
    names = {"README.md", "schema.json", *(f"{noun}.jsonl" for noun in NOUNS)}
    assert {file.name for file in directory.iterdir()} == names
    with zipfile.ZipFile(packed) as files:
        assert set(files.namelist()) == names
        cluster = wire.load_json(NOUNS["clusters"].kind, files.read("clusters.jsonl"))
    assert cluster.spec.name == "sea-ice"
    assert len((directory / "computations.jsonl").read_text().splitlines()) == 2


def test_a_directory_with_something_in_it_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    result = run("export", str(tmp_path))
    assert result.exit_code == 1
    assert "isn't empty" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_a_place_that_is_nowhere_is_said_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    result = run("usage", "export", "-o", str(tmp_path / "no" / "usage.csv"))
    assert result.exit_code == 1
    assert "there is no directory" in result.output
