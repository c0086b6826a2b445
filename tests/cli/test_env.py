"""``tradewind env`` shows the software, compares it and says why it is there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tradewind import wire
from tradewind.boot.environment.capture import capture
from tradewind.model.environment import Environment, Package, Translation


@pytest.fixture
def at_work(nothing_yet: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with one module, and no index but the usual one."""
    work = nothing_yet / "work"
    work.mkdir()
    (work / "analysis.py").write_text("x = 1\n")
    monkeypatch.chdir(work)
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("TRADEWIND_CACHE_DIR", str(nothing_yet / "cache"))
    return work


def test_capture_writes_a_file_that_show_reads(at_work: Path, run: Run, ask: Callable[..., Any]) -> None:
    written = run("env", "capture", "-o", "here.json")

    assert written.exit_code == 0, written.output
    assert "Written to here.json" in written.stdout
    assert wire.load(Environment, ask("env", "show", "here.json")) == capture()
    shown = run("env", "show", "here.json").stdout
    assert "from a package index" in shown
    assert "hypothesis" in shown


def test_what_would_travel_is_shown_with_its_size(at_work: Path, run: Run, ask: Callable[..., Any]) -> None:
    shown = run("env", "capture", "--carry").stdout
    carried = ask("env", "capture", "--carry")

    assert "modules-" in shown
    assert "MiB" in shown or "KiB" in shown
    assert [artifact["file_name"][:8] for artifact in carried["artifacts"]].count("modules-") == 1
    assert list((at_work.parent / "cache" / "artifacts").glob("*/modules-*.zip"))


def test_show_has_sizes_of_what_is_here(at_work: Path, run: Run) -> None:
    lines = run("env", "show").stdout.splitlines()

    assert any(line.startswith("click ") and "KiB" in line for line in lines)


def test_diff_names_what_differs(at_work: Path, run: Run, ask: Callable[..., Any]) -> None:
    run("env", "capture", "-o", "here.json")
    data = json.loads(Path("here.json").read_text())
    data["packages"] = [package for package in data["packages"] if package["name"] != "click"]
    next(package for package in data["packages"] if package["name"] == "rich")["version"] = "0.1"
    data["python"] = "3.9.0"
    Path("there.json").write_text(json.dumps(data))

    found = ask("env", "diff", "there.json", "this")
    shown = run("env", "diff", "there.json").stdout

    assert [change["name"] for change in found["packages"]] == ["click", "rich"]
    assert found["packages"][0]["here"] is None
    assert found["python"][0] == "3.9.0"
    assert "2 packages differ." in shown
    assert "Python: 3.9.0 → " in shown


def test_a_wheel_that_is_packed_at_a_start_alone_is_no_difference(at_work: Path, run: Run) -> None:
    run("env", "capture", "-o", "here.json")
    data = json.loads(Path("here.json").read_text())
    mine = next(package for package in data["packages"] if package["name"] == "rich")
    for name, sha256 in (("packed", "ab" * 32), ("edited", "cd" * 32)):
        mine["artifact"] = sha256
        Path(f"{name}.json").write_text(json.dumps(data))

    shown = run("env", "diff", "packed.json", "here.json").stdout
    assert "Only the versions are compared of rich" in shown
    assert "Their packages are the same: " in shown
    assert "1 package differs." in run("env", "diff", "packed.json", "edited.json").stdout


def test_diff_of_the_same_says_so(at_work: Path, run: Run) -> None:
    run("env", "capture", "-o", "here.json")

    assert "Their packages are the same: " in run("env", "diff", "here.json").stdout


def test_why_names_who_requires_it(at_work: Path, run: Run, ask: Callable[..., Any]) -> None:
    found = ask("env", "why", "Tornado")
    shown = run("env", "why", "tornado").stdout

    assert "distributed" in {wish["by"] for wish in found["wishes"]}
    assert found["version"] == next(p.version for p in capture().packages if p.name == "tornado")
    assert "distributed" in shown
    assert "wheel is for" in shown


WRONG = [
    (("env", "why", "numpi"), "did you mean 'numpy'?"),
    (("env", "show", "none.json"), "there is no file none.json."),
    (("env", "show", "nobody"), "there is no cluster 'nobody'"),
    (("env", "diff", "analysis.py"), "`tradewind env capture -o FILE` writes one."),
    (("env", "capture", "-o", "no/where.json"), "there is no directory no"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_a_wrong_word_is_answered_with_what_to_do(words: tuple[str, ...], said: str, at_work: Path, run: Run) -> None:
    result = run(*words)

    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_an_environment_without_sources_is_shown(at_work: Path, run: Run) -> None:
    packages = [{"name": "dask", "version": "2026.1"}]
    old = {"python": "3.11.7", "platform": "linux-x86_64", "packages": packages, "content_hash": "ab"}
    Path("old.json").write_text(json.dumps(old))

    assert "dask" in run("env", "show", "old.json").stdout


def test_the_software_of_a_cluster_is_shown(life: Path, run: Run) -> None:
    assert "hypothesis" in run("env", "show", "sea-ice").stdout
    assert "Their packages are the same" in run("env", "diff", "sea-ice").stdout


def test_diff_for_a_platform_shows_what_will_differ_there(at_work: Path, run: Run, ask: Callable[..., Any]) -> None:
    from tests.boot.environment.shelf import LINUX, MAC, shelf

    with shelf(at_work / "shelf") as index:
        index.add("fast", "1.2.3", MAC)
        index.add("fast", "1.2.4", LINUX)
        here = Environment(
            python="3.11.9",
            platform="macosx-arm64",
            packages=(Package(name="fast", version="1.2.3"),),
            content_hash="",
            indexes=(index.address,),
        )
        Path("mac.json").write_text(wire.dump_json(here))

        shown = run("env", "diff", "mac.json", "--for", "linux-x86_64")
        found = wire.load(Translation, ask("env", "diff", "mac.json", "--for", "linux-x86_64"))
        refused = run("env", "diff", "mac.json", "--for", "linux-aarch64")

    assert shown.exit_code == 0, shown.output
    assert "Python 3.11.9 on macOS arm64" in shown.stdout
    assert "likely" in shown.stdout
    assert [(one.here, one.there) for one in found.differences] == [("1.2.3", "1.2.4")]
    assert refused.exit_code != 0
    assert "fast 1.2.3 has no wheel for Linux aarch64" in refused.output


@pytest.mark.parametrize("words", [(), ("one", "other", "--for", "linux-x86_64")])
def test_diff_says_what_it_compares(at_work: Path, run: Run, words: tuple[str, ...]) -> None:
    assert run("env", "diff", *words).exit_code == 2
