"""``tradewind review``, asked of a real server."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.served import Served

WORDS = ("--for", "research", "--from", "2024-01-01", "--interest", "none", "--points", "ease=4", "--points", "help=5")


@pytest.fixture
def ada(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Served) -> Served:
    """The server's first user, an operator, signed in."""
    monkeypatch.setenv("TRADEWIND_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path))
    served.sign_in(tmp_path)
    return served


def done(run: Run, *words: str, exit_code: int = 0) -> str:
    result = run("review", *words)
    assert result.exit_code == exit_code, result.output
    return str(result.stdout if exit_code == 0 else result.output)


def test_a_review_goes_from_its_writer_over_a_moderator_to_readers_and_out(run: Run, ada: Served) -> None:
    said = done(run, "write", "2i2c", *WORDS, "--text", "=Good.\nQuick.")
    review_id = said.split()[1]

    assert "waits for an operator" in said
    assert review_id in done(run, "moderate")
    assert "nobody decides on a review of their own" in done(run, "moderate", review_id, "--publish", exit_code=1)
    listed = json.loads(done(run, "list", "2i2c", "--json"))
    assert [one["status"] for one in listed["reviews"]] == ["pending"]
    assert "say what you decide" in done(run, "moderate", review_id, exit_code=1)
    shown = done(run, "list", "2i2c")
    assert "ease 4 of 5, help 5 of 5" in shown
    assert "[pending]" in shown
    (row,) = csv.DictReader(io.StringIO(done(run, "export", "--format", "csv")))
    assert (row["partner"], row["ease"], row["cost"], row["text"]) == ("2i2c", "4", "", "'=Good.\nQuick.")
    assert json.loads(done(run, "export"))["reviews"][0]["said"]["text"] == "=Good.\nQuick."
    done(run, "withdraw", "2i2c", "--yes")
    assert "no such reviews yet" in done(run, "list")


def test_points_that_cant_be_read_are_told(run: Run, ada: Served) -> None:
    assert "write WHAT=NUMBER" in done(run, "write", "2i2c", *WORDS, "--points", "cost=five", exit_code=1)
    assert "give 1 to 5" in done(run, "write", "2i2c", *WORDS, "--points", "cost=9", exit_code=1)


def test_who_answers_for_a_partner_is_shown(run: Run, ada: Served) -> None:
    assert "nobody yet" in done(run, "speaker", "coiled")
    assert "answer: ada" in done(run, "speaker", "coiled", "ada")
    assert "you speak for coiled" in done(run, "write", "coiled", *WORDS, exit_code=1)
    assert "nobody yet" in done(run, "speaker", "coiled", "ada", "--remove")


def test_without_a_server_it_says_where_reviews_are_kept(run: Run, nothing_yet: Path) -> None:
    assert "reviews are kept by a server" in done(run, "list", exit_code=1)
