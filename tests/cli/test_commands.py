"""The tree of commands: what it lists, what it imports, how it stops a cluster and runs the demo."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

import tradewind
from tests.cli.conftest import Run
from tradewind import Cluster
from tradewind.cli import COMMANDS, main

SRC = Path(tradewind.__file__).parents[1]
HEAVY = {"alembic", "cryptography", "dask", "distributed", "numpy", "msgspec", "rich", "sqlalchemy", "tornado"}


def imported_by(*words: str) -> set[str]:
    """Return the top-level modules that a program of its own has imported when the command is over."""
    code = f"""
import sys
from tradewind.cli import main
try:
    main({list(words)!r}, prog_name="tradewind")
except SystemExit as end:
    assert not end.code, end.code
print("IMPORTED", *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": SRC}
    )
    return {module.partition(".")[0] for module in done.stdout.rpartition("IMPORTED ")[2].split()}


def test_the_help_lists_every_command(run: Run) -> None:
    shown = run("--help").stdout

    assert all(f"  {name} " in shown for name in COMMANDS)


def test_every_command_of_the_table_exists_and_explains_itself() -> None:
    for name in COMMANDS:
        command = main.commands[name]
        assert command.name == name
        assert command.help
        for verb in getattr(command, "commands", {}).values():
            assert verb.help, f"{name} {verb.name}"


WRITING = {"delete", "backup", "restore", "export", "mentoring", "remove", "revoke", "set", "slurm", "stop", "use"}
WRITING |= {"withdraw"}
"""What they change is said in a sentence; verbs that make something can say it as JSON too."""


def test_every_reading_verb_takes_json() -> None:
    groups = [command for command in main.commands.values() if isinstance(command, click.Group)]
    verbs = [verb for group in groups for verb in group.commands.values() if verb.name not in WRITING]

    assert verbs
    assert [verb.name for verb in verbs if "--json" not in {o for p in verb.params for o in p.opts}] == []


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["completion", "zsh"]])
def test_what_asks_no_engine_imports_none_of_the_heavy_libraries(words: list[str]) -> None:
    assert imported_by(*words) & HEAVY == set()


def test_a_read_never_imports_dask(nothing_yet: Path) -> None:
    assert imported_by("cluster", "list") & {"dask", "distributed", "numpy"} == set()


def test_the_help_of_the_demo_imports_no_science() -> None:
    assert imported_by("demo", "--help") & {"dask", "distributed", "matplotlib", "xarray"} == set()


def test_the_version_is_the_package_s(run: Run) -> None:
    assert run("--version").stdout == f"tradewind {tradewind.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_asks_this_program(shell: str, run: Run) -> None:
    script = run("completion", shell)

    assert script.exit_code == 0
    assert "_TRADEWIND_COMPLETE" in script.stdout


def test_commands_complete_in_the_shell() -> None:
    environ = {
        **os.environ,
        "PYTHONPATH": str(SRC),
        "_TRADEWIND_COMPLETE": "bash_complete",
        "COMP_WORDS": "tradewind cluster s",
        "COMP_CWORD": "2",
    }
    code = "from tradewind.cli import main; main(prog_name='tradewind')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ)

    assert done.stdout.split() == ["plain,show", "plain,stop"]


@pytest.fixture
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a queue that this machine may have, and that may be down, out of what the doctor sees."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))


@pytest.mark.usefixtures("no_queue")
def test_the_doctor_says_what_it_saw_of_each_provider(nothing_yet: Path, run: Run) -> None:
    seen = run("doctor")

    assert seen.exit_code == 0
    assert "provider local" in seen.stdout
    assert str(nothing_yet / "config") in seen.stdout


@pytest.mark.usefixtures("no_queue")
def test_the_doctor_fails_when_a_check_does(nothing_yet: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 99, 0))

    seen = run("doctor")

    assert seen.exit_code == 1
    assert "1 of " in seen.stdout
    assert "use one of these" in seen.stdout


@pytest.fixture
def away(nothing_yet: Path, run: Run) -> Iterator[str]:
    """A cluster whose provider isn't set up any more."""
    Cluster(name="squall", n_workers=1, shutdown_on_close=False, show_widget=False).close()
    file = next((nothing_yet / "data").rglob("tradewind.db"))
    moved = "update clusters set spec = replace(spec, ?, ?), provider = ?"
    with closing(sqlite3.connect(file)) as store, store:
        store.execute(moved, ('"local"', '"ssh"', "ssh"))
    yield "squall"
    with closing(sqlite3.connect(file)) as store, store:
        store.execute(moved, ('"ssh"', '"local"', "local"))
    assert run("cluster", "stop", "squall", "--yes").exit_code == 0


def test_what_can_not_be_ended_from_here_is_said_at_once_with_the_way_out(away: str, run: Run) -> None:
    began = time.monotonic()
    refused = run("cluster", "stop", away, "--yes")

    assert refused.exit_code == 1
    assert "'squall' was told to stop and can't be ended from here: the provider 'ssh' has no hosts" in refused.output
    assert "ends by itself when nobody looked after it for 10 min" in refused.output
    assert time.monotonic() - began < 10


def test_a_cluster_whose_starter_is_gone_can_be_stopped(nothing_yet: Path, run: Run) -> None:
    Cluster(name="kelp", n_workers=1, shutdown_on_close=False, show_widget=False).close()
    assert "kelp" in run("cluster", "list").stdout

    refused = run("cluster", "stop", "kelp", input="n\n")
    still_up = run("cluster", "list").stdout
    stopped = run("cluster", "stop", "kelp", "--yes")

    assert refused.exit_code == 1
    assert "kelp" in still_up
    assert stopped.exit_code == 0, stopped.output
    assert "Receipt of kelp" in stopped.stdout
    assert "total" in stopped.stdout
    assert "kelp" not in run("cluster", "list").stdout
    assert "tradewind cluster stop" in run("cluster", "show", "kelp").stdout


def test_the_demo_draws_a_map_agrees_with_numpy_and_leaves_nothing_up(nothing_yet: Path, run: Run) -> None:
    pytest.importorskip("iris_sample_data")
    picture = nothing_yet / "map.png"

    shown = run("demo", "--workers", "1", "--out", str(picture))

    assert shown.exit_code == 0, shown.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    for word in (
        "same as NumPy alone",
        "A1B",
        "demo / trend",
        "Receipt of",
        "total",
        "What could be better",
        str(picture),
    ):
        assert word in shown.stdout
    assert "No cluster is up" in run("cluster", "list").stdout
