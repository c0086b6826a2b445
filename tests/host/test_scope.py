"""A scope of its own for each instance, where systemd keeps a user's processes; here with a stand-in for systemd."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.host.test_station import SLEEPS, order
from tradewind.boot.birth import birth_of
from tradewind.host.bare import program, station

STAND_IN = """#!/bin/sh
echo "$@" >> "{log}"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@pytest.fixture
def lingering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a systemd that keeps this user's processes; return where it notes what it was asked."""
    (tmp_path / "linger").mkdir()
    (tmp_path / "linger" / "me").touch()
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "systemd-run"
    command.write_text(STAND_IN.format(log=tmp_path / "asked"))
    command.chmod(0o755)
    monkeypatch.setattr(station, "LINGER", str(tmp_path / "linger"))
    monkeypatch.setattr(station, "PROGRAM", program(), raising=False)
    monkeypatch.setenv("USER", "me")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "asked"


def test_an_instance_is_put_into_a_scope_and_is_the_very_process_that_claimed(lingering: Path, tmp_path: Path) -> None:
    asked = station.Station(str(tmp_path / "root"))
    os.makedirs(asked.runs)
    answer: dict[str, Any] = asked.spawn(order("o-scope", SLEEPS) | {"root": asked.root})
    assert answer == {"claimed": True}
    probe, real = lingering.read_text().splitlines()
    assert probe == "--user --scope --quiet --collect -- true"
    assert real.startswith("--user --scope --quiet --collect -- ")
    claim = asked.facts("o-scope")["claim"]
    assert birth_of(claim["pid"]) == claim["birth"]
    os.kill(claim["pid"], signal.SIGTERM)
    asked.children[0].wait(10)


@pytest.mark.parametrize("missing", ["linger", "systemd-run", "manager", "user"])
def test_without_a_systemd_that_keeps_its_processes_it_has_a_session(
    lingering: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    del lingering
    if missing == "linger":
        (tmp_path / "linger" / "me").unlink()
    if missing == "user":
        monkeypatch.setenv("USER", "")
        monkeypatch.setenv("LOGNAME", "")
    if missing == "systemd-run":
        monkeypatch.setattr(shutil, "which", lambda _: None)
    if missing == "manager":
        (tmp_path / "bin" / "systemd-run").write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")
    assert station.Station(str(tmp_path / "root")).scope_command() == []
