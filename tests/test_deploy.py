"""The operators' files: what can be tried of them where nothing is deployed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tradewind.cli import main
from tradewind.config import load_settings

DEPLOY = Path(__file__).parent.parent / "deploy"


def test_the_example_settings_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(DEPLOY / "tradewind.toml", tmp_path / "config.toml")
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path))
    serve = load_settings().serve
    assert (serve.host, serve.certificate, serve.key) == ("0.0.0.0", "/run/secrets/certificate", "/run/secrets/key")


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "tradewind.service"])
def test_every_variable_that_is_set_means_something(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path))
    found = set(re.findall(r"\b(TRADEWIND_[A-Z_]+)[=:]", (DEPLOY / name).read_text()))
    assert found
    for variable in found:
        monkeypatch.setenv(variable, str(tmp_path))
    load_settings()  # refuses the unknown


def test_what_is_started_is_a_command() -> None:
    started = re.search(r"^ExecStart=\S+/tradewind (\w+)$", (DEPLOY / "tradewind.service").read_text(), re.MULTILINE)
    assert started is not None
    assert started[1] in main.commands
