"""Budgets, set and shown in a terminal of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("nothing_yet")
Ask = Callable[..., Any]


def test_without_a_budget_it_says_how_to_set_one(run: Run) -> None:
    assert 'budget set "50 USD"' in run("budget", "show").stdout


def test_what_is_set_is_shown_and_set_again_is_changed(run: Run, ask: Ask) -> None:
    assert run("budget", "set", "50 USD").exit_code == 0
    assert run("budget", "set", "60usd").exit_code == 0
    (view,) = ask("budget", "show")
    assert view["budget"]["limit"] == {"amount": "60", "currency": "USD"}
    assert "60.00 USD" in run("budget", "show").stdout


def test_a_removed_budget_is_gone(run: Run, ask: Ask) -> None:
    view = ask("budget", "set", "5 EUR", "--user", "ada", "--soft")
    assert (view["budget"]["scope"], view["budget"]["is_hard"]) == ("user", False)
    assert run("budget", "remove", view["budget"]["id"]).exit_code == 0
    assert ask("budget", "show") == []
    assert run("budget", "remove", view["budget"]["id"]).exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lots",), "50 USD"),
        (("-5 USD",), ""),
        (("5 USD", "--user", "ada", "--tag", "a=b"), "one thing"),
        (("5 USD", "--tag", "nonsense"), "project=enso"),
        (("5 USD", "--from", "2026-01-01"), "give both"),
        (("5 USD", "--from", "2026-02-01", "--to", "2026-01-01"), "other way round"),
    ],
)
def test_what_can_not_be_a_budget_is_refused(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run("budget", "set", *words)
    assert result.exit_code in {1, 2}
    assert said in " ".join(result.output.split())


def test_a_webhook_is_added_with_its_key_listed_without_it_and_removed(run: Run, ask: Ask) -> None:
    assert "webhook add https" in run("webhook", "list").stdout
    made = ask("webhook", "add", "https://example.org/hook")
    assert len(made["signing_key"]) > 20
    said = run("webhook", "list").stdout
    assert "https://example.org/hook" in said
    assert made["signing_key"] not in said
    assert [one["id"] for one in ask("webhook", "list")] == [made["webhook"]["id"]]
    assert run("webhook", "remove", made["webhook"]["id"]).exit_code == 0
    assert ask("webhook", "list") == []
    assert run("webhook", "remove", made["webhook"]["id"]).exit_code == 1


def test_the_key_alone_is_printed_where_a_program_reads_it(run: Run) -> None:
    result = run("webhook", "add", "https://example.org/hook")
    assert result.exit_code == 0
    assert len(result.stdout.split()) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "ftp://example.org", "nonsense"])
def test_what_can_not_be_a_webhook_is_refused(run: Run, url: str) -> None:
    assert run("webhook", "add", url).exit_code == 1
