"""Reading commands, asked about one real cluster that has lived and stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from tests.cli.conftest import Run
from tradewind.cli import main

pytestmark = pytest.mark.usefixtures("life")
Ask = Callable[..., Any]


def amount(cost: Any) -> Decimal:
    return sum((Decimal(money["amount"]) for money in cost["money"]), Decimal(0))


def test_a_stopped_cluster_is_listed_only_with_all(ask: Ask) -> None:
    assert ask("cluster", "list") == []
    assert [line["name"] for line in ask("cluster", "list", "--all")] == ["sea-ice"]


def test_the_list_says_where_the_stopped_ones_are(run: Run) -> None:
    assert "cluster list --all" in run("cluster", "list").stdout


def test_a_line_of_the_list_keeps_its_shape(ask: Ask) -> None:
    (line,) = ask("cluster", "list", "--all")

    assert set(line) == {
        *("id", "name", "status", "stop_reason", "stop_detail", "provider", "owner", "tags"),
        *("workers_running", "workers_wanted", "created_at", "started_at", "stopped_at", "cost", "budget"),
    }
    assert line["status"] == "stopped"
    assert line["stop_reason"] == "asked"
    assert datetime.fromisoformat(line["created_at"]).utcoffset() == timedelta(0)
    assert amount(line["cost"]) > 0


def test_a_cluster_is_shown_with_its_instances_its_budget_and_its_journal(run: Run) -> None:
    shown = run("cluster", "show", "sea-ice")

    assert shown.exit_code == 0
    for word in ("sea-ice", "scheduler-", "worker-", "left of 5.00 USD", "USD/h", "Journal", "Running after"):
        assert word in shown.stdout


def test_brackets_in_a_tag_are_brackets(run: Run) -> None:
    assert "project=[red]ice" in run("cluster", "show", "sea-ice").stdout


def test_a_cluster_is_found_by_its_id_too(ask: Ask) -> None:
    by_name = ask("cluster", "show", "sea-ice")

    by_id = ask("cluster", "show", by_name["view"]["cluster"]["id"])

    assert by_id["journal"] == by_name["journal"]
    assert [i["role"] for i in by_id["view"]["instances"]].count("scheduler") == 1


def test_logs_are_of_all_processes_or_of_the_one_asked_for(run: Run, ask: Ask) -> None:
    every = ask("cluster", "logs", "sea-ice")
    (worker,) = [text["instance"]["id"] for text in every if text["instance"]["role"] == "worker"]

    assert {text["instance"]["role"] for text in every} == {"scheduler", "worker"}
    assert [t["instance"]["id"] for t in ask("cluster", "logs", "sea-ice", "--worker", worker)] == [worker]
    assert [t["instance"]["role"] for t in ask("cluster", "logs", "sea-ice", "--scheduler")] == ["scheduler"]
    assert all(len(text["lines"]) <= 1 for text in ask("cluster", "logs", "sea-ice", "--lines", "1"))
    assert worker in run("cluster", "logs", "sea-ice").stdout


def test_the_lines_of_every_cost_table_add_up_to_the_same_total(ask: Ask) -> None:
    totals = set()
    for by in ("cluster", "computation", "day", "user", "provider", "region", "role", "tag:project"):
        report = ask("usage", "show", "--by", by)
        assert sum(amount(line["cost"]) for line in report["lines"]) == amount(report["total"])
        totals.add(amount(report["total"]))

    assert len(totals) == 1
    assert totals.pop() > 0


def test_computations_are_named_in_the_cost_table(run: Run) -> None:
    shown = run("usage", "show", "--by", "computation").stdout

    assert "well" in shown
    assert "not computing" in shown
    assert "total" in shown


def test_since_and_until_cut_the_bill(run: Run, ask: Ask) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()

    assert ask("usage", "show", "--since", tomorrow)["lines"] == []
    assert "Nothing was used since" in run("usage", "show", "--since", tomorrow).stdout
    assert len(ask("usage", "show", "--since", "7d", "--until", tomorrow)["lines"]) == 1


def test_a_time_with_a_zone_is_taken_in_its_zone(ask: Ask) -> None:
    report = ask("usage", "show", "--since", "2026-01-01T02:00+02:00")

    assert datetime.fromisoformat(report["since"]) == datetime(2026, 1, 1, tzinfo=UTC)


def test_computations_are_listed_with_their_failures(run: Run, ask: Ask) -> None:
    found = {one["name"]: one for one in ask("computation", "list", "--cluster", "sea-ice")}

    assert set(found) == {"well", "badly"}
    assert sum(group["erred"] for group in found["badly"]["groups"]) == 1
    assert found["badly"]["id"][:8] in run("computation", "list").stdout


def test_a_computation_is_shown_with_its_groups_its_share_and_its_error(run: Run, ask: Ask) -> None:
    (badly,) = [one for one in ask("computation", "list") if one["name"] == "badly"]

    shown = run("computation", "show", badly["id"][:10]).stdout
    story = ask("computation", "show", badly["id"])

    for word in ("badly", "failed", "divide", "ZeroDivisionError", "return 1 / x"):
        assert word in shown
    assert set(story) == {"computation", "cluster_name", "cost", "insights"}
    assert story["cluster_name"] == "sea-ice"


def test_stopping_a_stopped_cluster_is_a_success(run: Run) -> None:
    stopped = run("cluster", "stop", "sea-ice")

    assert stopped.exit_code == 0
    assert "had stopped already" in stopped.stdout


def test_what_is_piped_is_not_cut_to_a_terminal(run: Run, ask: Ask) -> None:
    instances = ask("cluster", "show", "sea-ice")["view"]["instances"]

    shown = run("cluster", "show", "sea-ice").stdout

    assert all(instance["id"] in shown for instance in instances)
    assert "…" not in shown


@pytest.mark.parametrize(("verb", "names"), [("show", ["sea-ice"]), ("logs", ["sea-ice"]), ("stop", [])])
def test_the_shell_completes_names_of_clusters_that_the_verb_is_for(verb: str, names: list[str]) -> None:
    shell = ShellComplete(main, {}, "tradewind", "_TRADEWIND_COMPLETE")

    assert [found.value for found in shell.get_completions(["cluster", verb], "se")] == names
