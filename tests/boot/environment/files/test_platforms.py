"""A locked file is kept for all the machines that it is locked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.boot.environment.files.test_read import CONDA_LOCK, PIXI, UV_LOCK, project, pylock, wheel, wheels
from tradewind.boot.environment.files.locked import _repository
from tradewind.boot.environment.files.read import read
from tradewind.errors import BadRequest

All = Callable[..., list[str]]
TOGETHER = f'name = "melt"\nversion = "1.0"\n{wheels("melt")}'
HERE_ALONE = f'name = "rime"\nversion = "1.0"\nwheels = [{wheel("rime-1.0-cp311-cp311-manylinux_2_17_x86_64.whl")}]'
LINUX = "environments = [\"sys_platform == 'linux'\"]\n"
ON_ARM = "environments = [\"platform_machine == 'aarch64'\", \"platform_machine == 'arm64'\"]\n"
BOTH = ["linux-x86_64", "linux-aarch64"]


@pytest.fixture
def said() -> list[str]:
    """What was told on the way."""
    return []


@pytest.fixture
def platforms(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> All:
    """Read a file, and return for which platforms it was."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")

    def of(name: str, text: str | None = None, usual: str = "linux-x86_64", **more: object) -> list[str]:
        if text is not None:
            (tmp_path / name).write_text(text)
        words: dict[str, object] = {"platforms": (), "python": "3.11", "cache": tmp_path / "cache", **more}
        found = read(tmp_path / name, usual=usual, say=said.append, **words)  # type: ignore[arg-type]
        assert all(one.packages for one in found)
        return [one.platform for one in found]

    return of


def with_arm(text: str) -> str:
    """Return a lock of pixi for a second platform."""
    one = "https://conda.anaconda.org/conda-forge/noarch/distributed-2026.8.0-pyhd8ed1ab_0.conda"
    return text.replace("    packages:\n", f"    packages:\n      linux-aarch64:\n      - conda: {one}\n", 1)


def test_a_conda_lock_is_kept_for_all_that_it_is_locked_for_the_usual_one_first(platforms: All) -> None:
    assert platforms("pixi.lock", with_arm(PIXI)) == BOTH
    assert platforms("pixi.lock", usual="linux-aarch64") == BOTH[::-1]
    assert platforms("conda-lock.yml", CONDA_LOCK) == ["linux-x86_64"]


def test_a_lock_for_other_machines_than_the_usual_is_kept_for_those(platforms: All) -> None:
    assert platforms("pixi.lock", PIXI, usual="linux-aarch64") == ["linux-x86_64"]


def test_a_lock_for_no_machines_that_run_clusters_is_refused(platforms: All) -> None:
    with pytest.raises(BadRequest, match="isn't locked for linux-64, but for: win-64"):
        platforms("pixi.lock", PIXI.replace("      linux-64:", "      win-64:"))


def test_a_pylock_is_kept_for_what_it_names_and_else_for_the_usual_alone(platforms: All) -> None:
    assert platforms("pylock.toml", pylock(TOGETHER)) == ["linux-x86_64"]
    assert platforms("pylock.toml", LINUX + pylock(TOGETHER)) == BOTH
    assert platforms("pylock.toml", ON_ARM + pylock(TOGETHER)) == ["linux-aarch64", "macosx-arm64"]


def test_what_can_not_be_had_for_other_machines_is_said_and_left_out(platforms: All, said: list[str]) -> None:
    assert platforms("pylock.toml", LINUX + pylock(TOGETHER, HERE_ALONE)) == ["linux-x86_64"]

    assert "isn't kept for linux-aarch64" in said[0]
    assert "rime 1.0 has no wheel for Python 3.11 on linux-aarch64" in said[0]


def test_what_can_not_be_had_for_the_usual_or_for_those_asked_for_is_refused(platforms: All) -> None:
    text = LINUX + pylock(TOGETHER, HERE_ALONE)
    with pytest.raises(BadRequest, match=r"rime 1\.0 has no wheel"):
        platforms("pylock.toml", text, usual="linux-aarch64")
    with pytest.raises(BadRequest, match=r"rime 1\.0 has no wheel"):
        platforms("pylock.toml", text, platforms=BOTH)


def test_a_project_of_uv_is_kept_for_all_linux_and_built_once(platforms: All, tmp_path: Path) -> None:
    directory = project(tmp_path / "ours")
    text = (directory / "pyproject.toml").read_text()
    needs = 'version = "0.7"\nrequires-python = ">=3.10"\ndependencies = ["distributed"]'
    (directory / "pyproject.toml").write_text(text.replace('version = "0.7"', needs))
    (directory / "uv.lock").write_text(UV_LOCK)

    builder = (directory / "builder.py").read_text()
    counted = f"open({str(tmp_path / 'times')!r}, 'a').write('x')\n    name ="
    (directory / "builder.py").write_text(builder.replace("name =", counted, 1))

    assert platforms("ours/uv.lock") == BOTH
    assert (tmp_path / "times").read_text() == "x"


def test_what_is_for_newer_systems_alone_is_taken_and_said(platforms: All, said: list[str]) -> None:
    new = f'name = "rime"\nversion = "1.0"\nwheels = [{wheel("rime-1.0-cp311-cp311-manylinux_2_39_x86_64.whl")}]'

    assert platforms("pylock.toml", pylock(TOGETHER, new)) == ["linux-x86_64"]

    (told,) = said
    assert "rime 1.0 has wheels for newer Linux only (rime-1.0-cp311-cp311-manylinux_2_39_x86_64.whl)" in told


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("git+https://g.example/m?rev=v1#c0ffee", "git+https://g.example/m@c0ffee"),
        ("git+https://g.example/m?subdirectory=a&rev=v1", "git+https://g.example/m@v1#subdirectory=a"),
        ("git+https://g.example/m@c0ffee", "git+https://g.example/m@c0ffee"),
        ("git+https://ada:hush@g.example/m#c0ffee", "git+https://g.example/m@c0ffee"),
        ("git+https://hush@g.example/m", "git+https://g.example/m"),
    ],
)
def test_a_repository_of_a_lock_is_named_by_its_commit_and_without_a_login(written: str, read_as: str) -> None:
    assert _repository(written) == read_as
