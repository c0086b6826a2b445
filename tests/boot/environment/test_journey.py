"""What is captured here and carried is there, on a machine that had nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.boot.environment.projects import UV, distribution, install, project, run, virtual_environment
from tradewind.boot.environment.capture import capture
from tradewind.boot.environment.carry import carry, place_of
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
