"""What ``tradewind setup`` writes is settings that are read; on stand-ins for the systems."""

import importlib
import os
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from tests.providers import pretend
from tradewind.config import Settings, load_settings
from tradewind.providers.batch.setup import compose


@pytest.mark.parametrize(
    ("system", "table"), [("pbs", {"queues": ["workq"]}), ("lsf", {"queues": ["normal"]}), ("htcondor", {})]
)
async def test_what_a_site_has_is_written_as_settings_that_are_read(
    system: str, table: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = pretend.install(system, tmp_path / system)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")

    survey = await importlib.import_module(f"tradewind.providers.{system}.setup").survey("me", {})
    text = compose(survey)

    found = tomllib.loads(text)[system]
    assert {name: found.get(name) for name in table} == table
    file = tmp_path / "config.toml"
    file.write_text(text)
    load_settings(file, environ={})
    every_line = "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line)
    assert set(tomllib.loads(every_line)) <= {field.name for field in fields(getattr(Settings(), system))}
