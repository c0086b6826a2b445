"""What is called wrongly is answered in one line, and the exit code tells whose fault it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from tests.cli.conftest import Run
from tradewind.cli import main


def test_an_empty_list_says_how_to_start(nothing_yet: Path, run: Run) -> None:
    listed = run("cluster", "list")

    assert listed.exit_code == 0
    assert "Cluster(n_workers=2)" in listed.stdout


@pytest.mark.parametrize("words", ["cluster list", "computation list", "cluster list --all"])
def test_an_empty_list_is_an_empty_array(nothing_yet: Path, ask: Callable[..., Any], words: str) -> None:
    assert ask(*words.split()) == []


def test_no_use_costs_nothing(nothing_yet: Path, run: Run, ask: Callable[..., Any]) -> None:
    assert "Nothing was used yet" in run("usage", "show").stdout
    assert ask("usage", "show")["total"]["money"] == []


@pytest.mark.parametrize("words", ["cluster show", "cluster logs", "cluster stop --yes", "computation list --cluster"])
def test_an_unknown_cluster_is_a_failure_in_one_line(nothing_yet: Path, run: Run, words: str) -> None:
    failed = run(*words.split(), "nemo")

    assert failed.exit_code == 1
    assert failed.stderr == "Error: there is no cluster 'nemo'; there are none at all yet.\n"


@pytest.mark.usefixtures("life")
def test_the_nearest_name_is_suggested(run: Run) -> None:
    assert "did you mean 'sea-ice'?" in run("cluster", "show", "seaice").stderr


@pytest.mark.usefixtures("life")
def test_an_unknown_worker_is_answered_with_those_there_are(run: Run) -> None:
    failed = run("cluster", "logs", "sea-ice", "--worker", "worker-0")

    assert failed.exit_code == 1
    assert "its workers are: worker-" in failed.stderr


@pytest.mark.usefixtures("life")
def test_an_ambiguous_computation_is_a_failure_that_names_the_candidates(run: Run) -> None:
    ids = [one["id"] for one in json.loads(run("computation", "list", "--json").stdout)]

    failed = run("computation", "show", "")

    assert failed.exit_code == 1
    assert all(computation_id in failed.stderr for computation_id in ids)


def test_an_unknown_computation_is_a_failure(nothing_yet: Path, run: Run) -> None:
    failed = run("computation", "show", "zzz")

    assert failed.exit_code == 1
    assert "zzz" in failed.stderr


@pytest.mark.parametrize("by", ["colour", "tag:", ""])
def test_an_unknown_group_is_bad_usage(nothing_yet: Path, run: Run, by: str) -> None:
    wrong = run("usage", "show", "--by", by)

    assert wrong.exit_code == 2
    assert "tag:KEY" in wrong.stderr


@pytest.mark.parametrize("when", ["yesterday", "7", "2026", "2026-13-01", "-3d", "", "99999999999d"])
def test_what_is_no_time_is_bad_usage(nothing_yet: Path, run: Run, when: str) -> None:
    wrong = run("usage", "show", "--since", when)

    assert wrong.exit_code == 2
    assert "2026-11-01" in wrong.stderr


def test_a_range_that_ends_before_it_begins_is_bad_usage(nothing_yet: Path, run: Run) -> None:
    assert run("usage", "show", "--since", "2026-11-02", "--until", "2026-11-01").exit_code == 2


@pytest.mark.parametrize("words", ["cluster list", "usage show", "computation list", "doctor", "demo"])
def test_a_wrong_setting_is_a_failure_in_one_line(nothing_yet: Path, run: Run, words: str) -> None:
    (nothing_yet / "config").mkdir()
    (nothing_yet / "config" / "config.toml").write_text('provder = "local"\n', encoding="utf-8")

    failed = run(*words.split())

    assert failed.exit_code == 1
    assert failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("Error: ")
    assert "did you mean 'provider'?" in failed.stderr


def test_a_store_that_is_no_store_is_a_failure_in_one_line(nothing_yet: Path, run: Run) -> None:
    (nothing_yet / "data").mkdir()
    (nothing_yet / "data" / "tradewind.db").write_bytes(b"not a database, but long enough to look at" * 100)

    failed = run("cluster", "list")

    assert failed.exit_code == 1
    assert failed.stderr.startswith("Error: ")
    assert failed.stderr.count("\n") == 1


def test_an_unknown_command_is_bad_usage_and_the_nearest_is_named(run: Run) -> None:
    wrong = run("clusters")

    assert wrong.exit_code == 2
    assert "did you mean 'cluster'?" in wrong.stderr


def test_a_demo_that_can_not_write_its_picture_starts_nothing(nothing_yet: Path, run: Run) -> None:
    failed = run("demo", "--out", str(nothing_yet / "nowhere" / "map.png"))

    assert failed.exit_code == 1
    assert "isn't a directory" in failed.stderr
    assert not (nothing_yet / "data").exists()


def test_the_shell_completes_nothing_where_the_settings_are_wrong(
    nothing_yet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEWIND_PROVDER", "local")
    shell = ShellComplete(main, {}, "tradewind", "_TRADEWIND_COMPLETE")

    assert shell.get_completions(["cluster", "show"], "") == []
