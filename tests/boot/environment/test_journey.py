"""What is captured here and carried is there, on a machine that had nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.boot.environment.projects import UV, distribution, install, project, run, virtual_environment
from tests.hosts.index import add_wheel, served
from tradewind.boot.environment.capture import capture, this_platform
from tradewind.boot.environment.carry import carry, place_of, with_ours
from tradewind.boot.environment.files.read import read
from tradewind.boot.restore import order, program


@pytest.mark.skipif(UV is None, reason="needs uv")
def test_edited_code_modules_and_private_packages_run_on_a_bare_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert UV is not None
    site = virtual_environment(tmp_path / "here")
    edited = project(tmp_path / "edited", "edited")
    install(tmp_path / "here", "-e", str(edited), str(project(tmp_path / "copied", "copied")))
    distribution(site, "private")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://ada:very-hidden@pypi.lab.example.org/simple")
    work = tmp_path / "work"
    work.mkdir()
    (work / "analysis.py").write_text("import copied, edited, private\nanswer = edited.answer\n")
    (edited / "src" / "edited" / "__init__.py").write_text("answer = 42\n")
    path, cache = [str(site), str(edited / "src")], tmp_path / "cache"

    here = capture(path=path, prefix=str(tmp_path / "here"), working_directory=work)
    carried = carry(here, cache, path=path, working_directory=work, known=lambda asked: ())
    there = order(
        carried,
        files={one.sha256: str(place_of(one, cache)) for one in carried.artifacts},
        cache=str(tmp_path / "there"),
    )
    text = json.dumps(there)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-", str(_written(tmp_path / "order.json", text))],
        input=program(),
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "PATH": os.pathsep.join([str(Path(UV).parent), "/usr/bin", "/bin"])},
    )

    last = json.loads(done.stdout.splitlines()[-1])
    assert "done" in last, done.stdout + done.stderr
    assert run(last["python"], "-c", "import analysis, tradewind; print(analysis.answer)") == "42\n"
    assert "very-hidden" not in text


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


@pytest.mark.skipif(UV is None, reason="needs uv")
def test_what_a_file_says_runs_on_a_bare_machine_with_this_program_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert UV is not None
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setattr(metadata, "version", lambda name: "1.0")
    for name in ("distributed", "melt", "msgspec", "setproctitle"):
        add_wheel(tmp_path / "index", name, "1.0", f"name = {name!r}\n")
    with served(tmp_path / "index", "127.0.0.1") as (url, _):
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/simple")
        (tmp_path / "requirements.txt").write_text("melt\n")
        wanted = {"platforms": [this_platform()], "python": f"3.{sys.version_info.minor}", "cache": tmp_path / "cache"}
        (found,) = read(tmp_path / "requirements.txt", **wanted, say=print)
        whole = with_ours(found, tmp_path / "cache")
        files = {one.sha256: str(place_of(one, tmp_path / "cache")) for one in whole.artifacts}
        there = order(whole, files=files, cache=str(tmp_path / "there"))
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-", str(_written(tmp_path / "order.json", json.dumps(there)))],
            input=program(),
            capture_output=True,
            text=True,
            check=False,
            env={"HOME": str(tmp_path), "PATH": os.pathsep.join([str(Path(UV).parent), "/usr/bin", "/bin"])},
        )

    last = json.loads(done.stdout.splitlines()[-1])
    assert "done" in last, done.stdout + done.stderr
    assert run(last["python"], "-c", "import melt, msgspec, tradewind.boot; print(melt.name)") == "melt\n"
