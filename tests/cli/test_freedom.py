"""``tradewind freedom`` in a terminal and for a program, on folders as people have them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tradewind.cli import project as reading

AT = "2026-11-24"
SAYS = '[project]\ncopy = "Zenodo"\nreplicated = 2026-11-01\nlogin = ["oidc"]\nfunded_until = 2029-01-01\n'


@pytest.fixture
def well(tmp_path: Path) -> Path:
    """A project that loses nothing."""
    root = tmp_path / "ocean"
    root.mkdir()
    for name, text in {"LICENSE": "", "README.md": "", "uv.lock": "", "freedom.toml": SAYS, "run.py": "1"}.items():
        (root / name).write_text(text)
    return root


def test_bars_losses_reasons_and_fixes_stand_there(run: Run, well: Path) -> None:
    (well / "run.py").write_text("import coiled\n")

    result = run("freedom", str(well), "--at", AT)

    assert result.exit_code == 0, result.output
    assert "Own machines           ██████████████······  14 of 20" in result.output
    assert "Coiled needs a service whose software nobody else can run" in result.output
    assert "run.py:1" in result.output
    assert "make it an extra" in result.output
    assert 'rule = "closed-service"' in result.output


def test_the_dearest_stand_first_and_the_rest_is_counted(run: Run, well: Path) -> None:
    lines = [f"open('/home/user{number}/x')" for number in range(20)]
    (well / "run.py").write_text("import coiled\n" + "\n".join(lines))

    short = run("freedom", str(well), "--at", AT).output
    whole = run("freedom", str(well), "--at", AT, "--all").output

    assert short.index("-6  Coiled") < short.index("/home/user0")
    assert "and 11 more, none dearer" in short
    assert "/home/user9 " in whole


def test_json_has_what_the_terminal_has(ask: Any, well: Path) -> None:
    (well / "run.py").write_text("x = open('s3://ice/b')\ny = open('gs://sst/d')\nz = open('s3://era/f')\n")

    told = ask("freedom", str(well), "--at", AT)

    assert [bar["left"] for bar in told["bars"]] == [20, 20, 17, 20, 20]
    (loss,) = told["losses"]
    assert (loss["rule"], loss["what"], loss["places"]) == ("far-data", "sst (google)", [{"path": "run.py", "line": 2}])


@pytest.mark.parametrize(
    ("code", "options", "exit_code"),
    [
        ("1", ["--check"], 0),
        ("import coiled", [], 0),
        ("import coiled", ["--check"], 1),
        ("import coiled", ["--least", "14"], 0),
        ("import coiled", ["--least", "15"], 1),
    ],
)
def test_a_ci_is_told_by_the_exit_code(run: Run, well: Path, code: str, options: list[str], exit_code: int) -> None:
    (well / "run.py").write_text(code)

    assert run("freedom", str(well), "--at", AT, *options).exit_code == exit_code


def test_what_was_accepted_lets_ci_pass_until_it_runs_out(run: Run, well: Path) -> None:
    (well / "run.py").write_text("import coiled")
    rules = ("closed-service", "history-with-service", "company-decides")
    entries = [f'[[accepted]]\nrule = "{rule}"\nby = "Ada"\ndate = {AT}\nreason = "credits"\n' for rule in rules]
    (well / "freedom.toml").write_text(SAYS + "\n".join(entries))

    passed = run("freedom", str(well), "--at", AT, "--check")
    later = run("freedom", str(well), "--at", "2027-11-25", "--check")

    assert passed.exit_code == 0, passed.output
    assert "6 given up on purpose" in passed.output
    assert "by Ada on 2026-11-24" in passed.output
    assert later.exit_code == 1
    assert "which is over" in later.output


def test_odd_files_are_told_and_the_rest_is_read(run: Run, well: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (well / "run.py").write_text("import coiled")
    (well / "binary.py").write_bytes(b"\x7fELF\0\0\1")
    (well / "latin.py").write_bytes("# é\nx = 1".encode("latin-1"))
    (well / "odd.py").write_bytes(b"# -*- coding: no-such -*-\n")
    (well / "broken.py").write_text("def (")
    (well / "loop").symlink_to(well, target_is_directory=True)
    (well / "gone.py").symlink_to(well / "nowhere.py")
    os.mkfifo(well / "pipe.py")
    with (well / "huge.ipynb").open("wb") as file:
        file.truncate(100 * 2**20)  # as 100 MB of pictures, without the disk
    (well / ".git").mkdir()
    (well / ".git" / "hook.py").write_text("import modal")
    (well / "env" / "lib").mkdir(parents=True)
    (well / "env" / "lib" / "x.py").write_text("import modal")

    result = run("freedom", str(well), "--at", AT)

    assert result.exit_code == 0, result.output
    unread = result.output.partition("Not read")[2]
    for name in ("binary.py", "latin.py", "odd.py", "broken.py:1", "gone.py", "pipe.py", "huge.ipynb"):
        assert f"  {name}: " in unread, unread
    assert "100 MiB, and at most 30 are read; clear its outputs" in unread
    assert "Coiled" in result.output
    assert "Modal" not in result.output


def test_a_disk_full_of_files_is_read_in_part_and_told(run: Run, well: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_FILES", 3)

    assert "it has more than 3 files" in run("freedom", str(well), "--at", AT).output


def test_names_of_files_cant_command_the_terminal(run: Run, well: Path) -> None:
    (well / "\x1b[2J.py").write_text("import coiled")

    assert "\x1b" not in run("freedom", str(well), "--at", AT).output


def test_a_folder_without_code_is_no_project(run: Run, tmp_path: Path) -> None:
    result = run("freedom", str(tmp_path))

    assert result.exit_code == 1
    assert "holds no Python, notebook or file of packages" in result.output


def test_of_one_file_nothing_is_said_that_stands_beside_it(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("import coiled")

    told = ask("freedom", str(tmp_path / "run.py"), "--at", AT)

    assert {loss["rule"] for loss in told["losses"]} == {"closed-service", "history-with-service", "company-decides"}
    assert told["questions"] == []


def test_a_file_of_trade_offs_that_isnt_toml_is_named(run: Run, well: Path) -> None:
    (well / "freedom.toml").write_text("[[accepted]\n")

    result = run("freedom", str(well))

    assert result.exit_code == 1
    assert "freedom.toml can't be read" in result.output
